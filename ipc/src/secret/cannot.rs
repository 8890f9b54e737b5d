//! What nobody can write. Each case is beside a twin that compiles and differs in that alone.
//!
//! Shown to somebody:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text = format!("{}", secret.expose());
//! ```
//! ```compile_fail,E0277
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text = format!("{}", secret);
//! ```
//!
//! Written into a message:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text = serde_json::to_string(secret.expose());
//! ```
//! ```compile_fail,E0277
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text = serde_json::to_string(&secret);
//! ```
//!
//! Written into a message as a field of something else:
//! ```
//! #[derive(serde::Serialize)]
//! struct Message {
//!     #[serde(serialize_with = "keyfob_ipc::secret::exposed")]
//!     value: keyfob_ipc::Secret<String>,
//! }
//! ```
//! ```compile_fail,E0277
//! #[derive(serde::Serialize)]
//! struct Message {
//!     value: keyfob_ipc::Secret<String>,
//! }
//! ```
//!
//! Used as the text that it is:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let length = secret.expose().len();
//! ```
//! ```compile_fail,E0599
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let length = secret.len();
//! ```
//!
//! Passed where text is wanted:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text: &str = secret.expose();
//! ```
//! ```compile_fail,E0308
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text: &str = &secret;
//! ```
//!
//! Passed on as something that can be seen as text:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let path = std::path::Path::new(secret.expose());
//! ```
//! ```compile_fail,E0277
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let path = std::path::Path::new(&secret);
//! ```
//!
//! Turned into text:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text = String::from(secret.expose());
//! ```
//! ```compile_fail,E0277
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text = String::from(secret);
//! ```
//!
//! Copied as text:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text: String = secret.expose().clone();
//! ```
//! ```compile_fail,E0308
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text: String = secret.clone();
//! ```
//!
//! Taken out by its field:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text = secret.expose();
//! ```
//! ```compile_fail,E0616
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let text = secret.0;
//! ```
//!
//! Compared with text in a time that tells where the two differ:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let is_same = secret == keyfob_ipc::Secret::from("aw_1");
//! ```
//! ```compile_fail,E0308
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let is_same = secret == *"aw_1";
//! ```
//!
//! Kept in order, or by its hash:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let all = std::collections::BTreeSet::from([secret.expose()]);
//! ```
//! ```compile_fail,E0277
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! let all = std::collections::BTreeSet::from([secret]);
//! ```
//!
//! Passed to another program:
//! ```
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! std::process::Command::new("true").arg(secret.expose());
//! ```
//! ```compile_fail,E0277
//! # let secret = keyfob_ipc::Secret::from("aw_1");
//! std::process::Command::new("true").arg(&secret);
//! ```
