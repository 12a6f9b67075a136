//! dig, run once for a question.

use std::net::SocketAddr;
use std::process::Command;

/// What dig prints of one exchange, its own comments included.
pub fn dig(server: SocketAddr, words: &str) -> String {
    let mut command = Command::new("dig");
    command
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()])
        .args(["+tries=1", "+time=20", "+nostats"])
        .args(words.split_ascii_whitespace());
    let output = command.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
