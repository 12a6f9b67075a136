//! Answers from the case files in `dns/tests/answers`, and from anything that bytes can say.

mod cases;
mod hostile;
mod subnet;
