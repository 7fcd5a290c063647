//! Where everything that is counted comes together.

use std::sync::{Mutex, PoisonError};

use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::latency;
use crate::config::ConfigError;

/// The facade has one recorder a process, and so several services in one process share theirs.
static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Installs the recorder of this process, unless it was installed before.
///
/// # Errors
/// The program around this service has installed one of its own.
pub(super) fn install() -> Result<PrometheusHandle, ConfigError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let recorder = build()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| {
        ConfigError::new("CAPAUTH_METRICS is set, but the program collects its metrics elsewhere already")
    })?;
    describe_gauge!("capauth_build_info", "Which version runs; always 1");
    gauge!("capauth_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
    *installed = Some(handle.clone());
    Ok(handle)
}

/// # Errors
/// None: the buckets are constant, and there are some.
pub(super) fn build() -> Result<PrometheusRecorder, ConfigError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(latency::NAME.to_owned()), &latency::BUCKETS)
        .map_err(|error| ConfigError::new(format!("there can be no metrics: {error}")))?;
    Ok(builder.build_recorder())
}
