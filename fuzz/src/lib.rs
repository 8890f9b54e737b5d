//! What must hold for every input from outside. Each module is one fuzz target; `seeds/TARGET` has where it begins.
//!
//! A `check` panics where something does not hold. It is a plain function, so `cargo test` runs all seeds through it without
//! a fuzzer.

pub mod bazel_input;
pub mod configuration;
pub mod frame;
pub mod host_match;
pub mod id_token_claims;
pub mod ledger_line;
pub mod outerbounds_string;
pub mod request;
mod scene;
pub mod token_api_answer;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// A target that finds nothing in its own seeds may not be called at all.
    fn replay(target: &str, check: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
        let seeds = std::fs::read_dir(folder).unwrap().map(|seed| seed.unwrap().path());
        let count = seeds.map(|seed| check(&std::fs::read(seed).unwrap())).count();
        assert!(count >= 5, "{count} seeds");
    }

    #[test]
    fn every_seed_holds() {
        replay("frame", crate::frame::check);
        replay("request", crate::request::check);
        replay("bazel_input", crate::bazel_input::check);
        replay("host_match", crate::host_match::check);
        replay("configuration", crate::configuration::check);
        replay("id_token_claims", crate::id_token_claims::check);
        replay("ledger_line", crate::ledger_line::check);
        replay("outerbounds_string", crate::outerbounds_string::check);
        replay("token_api_answer", crate::token_api_answer::check);
    }
}
