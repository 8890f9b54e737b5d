//! Metaflow's metadata service, as far as its client goes (`metaflow/plugins/metadata_providers/service.py`): flows, runs, steps,
//! tasks, artifacts, metadata, tags and heartbeats. As behind Outerbounds' front, every call needs a key in `x-api-key`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::common::{Common, locked};
use crate::door::{Call, plain_door};
use crate::faults::Endpoint;

/// Of a service that knows attempts, tags that change, heartbeats and filters.
const VERSION: &str = "2.5.0";
/// Between two heartbeats, in seconds.
const BEAT: u32 = 2;

#[derive(Debug, Default)]
struct State {
    /// With how often each was used.
    keys: HashMap<String, u64>,
    last: u64,
    /// By path, each with the kinds in it: `flows/F/runs/1/steps/start/tasks/2`, artifacts with the attempt at the end.
    objects: BTreeMap<String, Value>,
    /// What was said about runs and tasks, by path.
    facts: BTreeMap<String, Vec<Value>>,
    calls: Vec<String>,
    refused: Vec<String>,
}

/// The running service.
#[derive(Debug)]
pub struct MetadataService {
    common: Common,
    base: String,
    state: Mutex<State>,
}

impl MetadataService {
    pub(crate) fn new(common: Common, base: String) -> Self {
        Self { common, base, state: Mutex::default() }
    }

    /// `METAFLOW_SERVICE_URL`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Takes calls with this key from now on.
    pub fn accept(&self, key: &str) {
        locked(&self.state).keys.entry(key.to_owned()).or_default();
    }

    /// How often a key that is taken was used.
    #[must_use]
    pub fn uses(&self, key: &str) -> u64 {
        locked(&self.state).keys.get(key).copied().unwrap_or_default()
    }

    /// Method and path of every call that had a good key, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        locked(&self.state).calls.clone()
    }

    /// The same of every call that had none.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        locked(&self.state).refused.clone()
    }

    /// Paths of what is known: `flows/F/runs/1/steps/start/tasks/2/artifacts/name/0`.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        locked(&self.state).objects.keys().cloned().collect()
    }

    fn answer(&self, call: &Call) -> Response {
        let mut state = locked(&self.state);
        let line = format!("{} {}", call.method, call.uri.path());
        let Some(uses) = call.header("x-api-key").and_then(|key| state.keys.get_mut(key)) else {
            state.refused.push(line);
            return (StatusCode::FORBIDDEN, Json(json!({"message": "Forbidden"}))).into_response();
        };
        *uses += 1;
        state.calls.push(line);
        let path = call.uri.path().trim_matches('/');
        let parts: Vec<_> = path.split('/').collect();
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let now = self.common.now().as_millisecond();
        let answer = match (&call.method, &parts[..]) {
            (&Method::GET, ["ping"]) => {
                return ([("METADATA_SERVICE_VERSION", VERSION)], "pong").into_response();
            }
            (&Method::GET, _) => state.show(path, &parts),
            (&Method::POST, [.., "heartbeat"]) => {
                // A text that is JSON, as JSON: the client takes it apart twice.
                Ok(Value::from(json!({"wait_time_in_seconds": BEAT}).to_string()))
            }
            (&Method::POST, [.., "artifact"]) => Ok(state.add_artifacts(&path[..path.len() - 9], &body)),
            (&Method::POST, [.., "metadata"]) => {
                let facts = state.facts.entry(path.trim_end_matches("/metadata").to_owned()).or_default();
                facts.extend(body.as_array().cloned().unwrap_or_default());
                Ok(json!({}))
            }
            (&Method::POST, _) => state.create(path, &parts, body, now),
            (&Method::PATCH, [.., "tag", "mutate"]) => {
                state.change_tags(path.trim_end_matches("/tag/mutate"), &body)
            }
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        };
        match answer {
            Ok(answer) => Json(answer).into_response(),
            Err(status) => (status, Json(json!({"message": status.to_string()}))).into_response(),
        }
    }
}

impl State {
    /// One thing, or all of a kind below one.
    fn show(&self, path: &str, parts: &[&str]) -> Result<Value, StatusCode> {
        match parts {
            [.., "metadata"] => {
                let below = path.trim_end_matches("metadata").trim_end_matches('/');
                let of = |known: &&String| *known == below || known.starts_with(&format!("{below}/"));
                let facts = self.facts.iter().filter(|(known, _)| of(known));
                Ok(facts.flat_map(|(_, facts)| facts.clone()).collect())
            }
            [task @ .., "attempt", attempt, "artifacts"] => {
                Ok(self.artifacts(&format!("{}/", task.join("/")), Some(attempt)).into())
            }
            [task @ .., "artifacts"] => Ok(self.artifacts(&format!("{}/", task.join("/")), None).into()),
            [task @ .., "artifacts", name, "attempt", attempt] => {
                let path = format!("{}/artifacts/{name}/{attempt}", task.join("/"));
                self.objects.get(&path).cloned().ok_or(StatusCode::NOT_FOUND)
            }
            [task @ .., "artifacts", name] => {
                let all = self.artifacts(&format!("{}/", task.join("/")), None);
                all.into_iter().find(|artifact| artifact["name"] == *name).ok_or(StatusCode::NOT_FOUND)
            }
            [step @ .., "filtered_tasks"] => Ok(self.children(&format!("{}/tasks/", step.join("/"))).into()),
            [.., "flows" | "runs" | "steps" | "tasks"] => Ok(self.children(&format!("{path}/")).into()),
            _ => self.objects.get(path).cloned().ok_or(StatusCode::NOT_FOUND),
        }
    }

    fn children(&self, prefix: &str) -> Vec<Value> {
        let below = self.objects.iter().filter_map(|(path, value)| Some((path.strip_prefix(prefix)?, value)));
        below.filter(|(rest, _)| !rest.contains('/')).map(|(_, value)| value.clone()).collect()
    }

    /// Of one attempt, else of each task's last.
    fn artifacts(&self, prefix: &str, attempt: Option<&str>) -> Vec<Value> {
        let mut newest = BTreeMap::new();
        for (path, value) in self.objects.iter().filter(|(path, _)| path.starts_with(prefix)) {
            let Some((name, number)) = path.rsplit_once('/').filter(|_| path.contains("/artifacts/")) else {
                continue;
            };
            if attempt.is_none_or(|attempt| attempt == number) {
                newest.insert(name, value.clone());
            }
        }
        newest.into_values().collect()
    }

    fn create(&mut self, path: &str, parts: &[&str], mut body: Value, now: i64) -> Result<Value, StatusCode> {
        let Some(members) = body.as_object_mut() else { return Err(StatusCode::BAD_REQUEST) };
        let above = match parts {
            ["flows", _] => None,
            ["flows", _, "run"] => Some(parts[..2].join("/")),
            ["flows", _, "runs", _, "steps", _, "step"] => Some(parts[..4].join("/")),
            ["flows", _, "runs", _, "steps", _, "task"] => Some(parts[..6].join("/")),
            _ => return Err(StatusCode::NOT_FOUND),
        };
        if !above.as_ref().is_none_or(|above| self.objects.contains_key(above)) {
            return Err(StatusCode::NOT_FOUND);
        }
        let mut number = |name: &str| {
            let number = members.get(name).cloned().unwrap_or_else(|| {
                self.last += 1;
                self.last.into()
            });
            members.insert(name.to_owned(), number.clone());
            text(&number)
        };
        let at = match (above, parts[parts.len() - 1]) {
            (Some(flow), "run") => format!("{flow}/runs/{}", number("run_number")),
            (Some(step), "task") => {
                let at = format!("{step}/tasks/{}", number("task_id"));
                members.insert("run_number".into(), parts[3].into());
                members.insert("step_name".into(), parts[5].into());
                at
            }
            _ => path.trim_end_matches("/step").to_owned(),
        };
        if self.objects.contains_key(&at) {
            return Err(StatusCode::CONFLICT);
        }
        members.insert("flow_id".into(), parts[1].into());
        members.insert("ts_epoch".into(), now.into());
        self.objects.insert(at, body.clone());
        Ok(body)
    }

    fn add_artifacts(&mut self, task: &str, body: &Value) -> Value {
        for artifact in body.as_array().into_iter().flatten() {
            let (name, attempt) = (text(&artifact["name"]), text(&artifact["attempt_id"]));
            self.objects.insert(format!("{task}/artifacts/{name}/{attempt}"), artifact.clone());
        }
        json!({"artifacts_created": body.as_array().map(Vec::len)})
    }

    fn change_tags(&mut self, run: &str, body: &Value) -> Result<Value, StatusCode> {
        let object = self.objects.get_mut(run).ok_or(StatusCode::NOT_FOUND)?;
        let read = |value: &Value| -> BTreeSet<String> {
            value.as_array().into_iter().flatten().map(text).collect()
        };
        let mut tags = read(&object["tags"]);
        tags.extend(read(&body["tags_to_add"]));
        let removed = read(&body["tags_to_remove"]);
        tags.retain(|tag| !removed.contains(tag));
        object["tags"] = json!(tags);
        Ok(json!({"tags": tags}))
    }
}

/// A number or a text, as it stands in a path.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(crate) fn routes(common: &Common, service: &Arc<MetadataService>) -> Router {
    Router::new().fallback(plain_door(common, Endpoint::Metadata, service, MetadataService::answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Sandbox, net};

    async fn ask(sandbox: &Sandbox, method: Method, path: &str, key: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", sandbox.metadata().url());
        let request = net::client().request(method, url).header("x-api-key", key).body(body.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&net::body(answer).await.unwrap()).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_run_is_known_with_all_that_is_in_it_and_nobody_without_a_key_hears_of_it() {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        sandbox.metadata().accept("good");
        let post = async |path: &str, body| ask(&sandbox, Method::POST, path, "good", body).await;
        let get = async |path: &str, key: &str| ask(&sandbox, Method::GET, path, key, Value::Null).await;
        assert_eq!(post("/flows/F/run", json!({})).await.0, 404, "no flow yet");
        assert_eq!(post("/flows/F", json!({})).await.0, 200);
        assert_eq!(post("/flows/F", json!({})).await.0, 409);
        let (_, run) = post("/flows/F/run", json!({"tags": ["a"]})).await;
        assert_eq!(run["run_number"], 1);
        post("/flows/F/runs/1/steps/start/step", json!({})).await;
        let (_, task) = post("/flows/F/runs/1/steps/start/task", json!({})).await;
        let at = format!("/flows/F/runs/1/steps/start/tasks/{}", task["task_id"]);
        for attempt in [0, 1] {
            post(&format!("{at}/artifact"), json!([{"name": "x", "attempt_id": attempt}])).await;
        }
        assert_eq!(get(&format!("{at}/artifacts"), "good").await.1, json!([{"name": "x", "attempt_id": 1}]));
        assert_eq!(get(&format!("{at}/artifacts/x/attempt/0"), "good").await.1["attempt_id"], 0);
        assert_eq!(get("/flows/F/runs", "good").await.1[0]["run_number"], 1);
        assert_eq!(
            post(&format!("{at}/heartbeat"), json!({})).await.1,
            json!("{\"wait_time_in_seconds\":2}")
        );
        assert_eq!(get("/flows/F/runs", "bad").await, (403, json!({"message": "Forbidden"})));
        assert_eq!(sandbox.metadata().refused(), ["GET /flows/F/runs"]);
    }
}
