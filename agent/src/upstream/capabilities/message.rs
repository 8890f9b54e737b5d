//! The messages of `GetCapabilities`, as far as they say something about a token.
//!
//! Names and field numbers are those of `build/bazel/remote/execution/v2/remote_execution.proto`
//! (github.com/bazelbuild/remote-apis). Other fields are skipped, as protobuf wants it.

/// `GetCapabilitiesRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Ask {
    /// The instance to operate against; may be empty.
    #[prost(string, tag = "1")]
    pub instance_name: String,
}

/// `ServerCapabilities`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServerCapabilities {
    /// `cache_capabilities`.
    #[prost(message, optional, tag = "1")]
    pub cache: Option<CacheCapabilities>,
    /// `execution_capabilities`; absent where there is no remote execution.
    #[prost(message, optional, tag = "2")]
    pub execution: Option<ExecutionCapabilities>,
}

/// `CacheCapabilities`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CacheCapabilities {
    /// `action_cache_update_capabilities`.
    #[prost(message, optional, tag = "2")]
    pub updates: Option<ActionCacheUpdateCapabilities>,
}

/// `ActionCacheUpdateCapabilities`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ActionCacheUpdateCapabilities {
    /// Whether the action cache may be updated.
    #[prost(bool, tag = "1")]
    pub update_enabled: bool,
}

/// `ExecutionCapabilities`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExecutionCapabilities {
    /// Whether actions may be executed.
    #[prost(bool, tag = "2")]
    pub exec_enabled: bool,
}

impl ServerCapabilities {
    /// Whether whoever got this may write to the action cache.
    pub fn may_update(&self) -> bool {
        let updates = self.cache.as_ref().and_then(|cache| cache.updates.as_ref());
        updates.is_some_and(|updates| updates.update_enabled)
    }

    /// Whether whoever got this may run actions.
    pub fn may_execute(&self) -> bool {
        self.execution.as_ref().is_some_and(|execution| execution.exec_enabled)
    }
}
