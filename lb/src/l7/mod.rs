//! HTTP: the codec, and the exchange that carries a request to a target and its response back.

pub mod http1;
