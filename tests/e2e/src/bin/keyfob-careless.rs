//! `keyfob-careless`: takes a secret on standard input, gives its memory back as most programs do, and lives on. The tests look for
//! what it leaves. With `--with-care` it does the same with the type that Keyfob keeps secrets in.

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    use std::io::{Read as _, Write as _};

    use keyfob_ipc::Secret;

    let with_care = std::env::args().any(|argument| argument == "--with-care");
    // Without a buffer between, which would keep a copy of its own.
    let mut input = std::fs::File::open("/dev/stdin")?;
    let say = |word: &str| std::io::stdout().write_all(word.as_bytes());
    let mut secret = vec![0; 4096];
    let length = input.read(&mut secret)?;
    secret.truncate(length);
    let secret = Secret::new(secret);
    let copy = (!with_care).then(|| secret.expose().clone());
    say("held\n")?;
    input.read_exact(&mut [0])?;
    drop((secret, copy));
    say("given back\n")?;
    input.read_to_end(&mut Vec::new()).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn main() {}
