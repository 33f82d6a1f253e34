//! The route table's mechanism: from a list of method, path and handler to actix resources that answer every method.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpResponse, Responder, Route};

use super::codes::Code;
use super::problem::ApiError;

type MakeRoute = Arc<dyn Fn(Method) -> Route + Send + Sync>;
type AddState = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// Routes and the state that their handlers share. Cheap to clone: each worker thread builds its own resources from it.
#[derive(Clone, Default)]
pub struct RouteTable {
    entries: Vec<Entry>,
    states: Vec<AddState>,
}

#[derive(Clone)]
struct Entry {
    method: Method,
    path: &'static str,
    documented: bool,
    make: MakeRoute,
}

impl RouteTable {
    /// No routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `GET`; `HEAD` comes with it.
    #[must_use]
    pub fn get<F, Args>(self, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::GET, path, handler)
    }

    /// Adds `POST`.
    #[must_use]
    pub fn post<F, Args>(self, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::POST, path, handler)
    }

    /// Adds `PUT`.
    #[must_use]
    pub fn put<F, Args>(self, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::PUT, path, handler)
    }

    /// Adds `DELETE`.
    #[must_use]
    pub fn delete<F, Args>(self, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Method::DELETE, path, handler)
    }

    /// Adds any other method.
    #[must_use]
    pub fn add<F, Args>(mut self, method: Method, path: &'static str, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let make: MakeRoute = Arc::new(move |method| web::method(method).to(handler.clone()));
        self.entries.push(Entry { method, path, documented: true, make });
        self
    }

    /// Leaves the last route out of the documentation.
    #[must_use]
    pub fn undocumented(mut self) -> Self {
        if let Some(entry) = self.entries.last_mut() {
            entry.documented = false;
        }
        self
    }

    /// Adds what handlers take as `Data<T>`.
    #[must_use]
    pub fn state<T: Send + Sync + ?Sized + 'static>(mut self, state: Arc<T>) -> Self {
        self.states.push(Arc::new(move |config| {
            config.app_data(Data::from(Arc::clone(&state)));
        }));
        self
    }

    /// Adds all that another table has.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.entries.extend(other.entries);
        self.states.extend(other.states);
        self
    }

    /// Method and path of every route that the documentation must have.
    #[must_use]
    pub fn documented(&self) -> BTreeSet<(String, String)> {
        let documented = self.entries.iter().filter(|entry| entry.documented);
        documented.map(|entry| (entry.method.to_string(), entry.path.to_owned())).collect()
    }

    /// Method and path of every route.
    pub fn all(&self) -> impl Iterator<Item = (String, &'static str)> {
        self.entries.iter().map(|entry| (entry.method.to_string(), entry.path))
    }

    /// Registers everything.
    pub(super) fn configure(&self, config: &mut ServiceConfig) {
        for state in &self.states {
            state(config);
        }
        // By path, with words before parameters: `/tickets/summary` must not be taken for a ticket's id.
        let mut by_path: BTreeMap<(String, &'static str), Vec<&Entry>> = BTreeMap::new();
        for entry in &self.entries {
            by_path.entry((entry.path.replace('{', "\u{7f}"), entry.path)).or_default().push(entry);
        }
        for ((_, path), entries) in by_path {
            config.service(resource(path, &entries));
        }
        config.default_service(web::to(|| async {
            Err::<HttpResponse, _>(ApiError::not_found(Code::NotFound))
        }));
    }
}

impl std::fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all().map(|(method, path)| format!("{method} {path}"))).finish()
    }
}

fn resource(path: &str, entries: &[&Entry]) -> actix_web::Resource {
    let mut methods: Vec<Method> = Vec::new();
    let mut resource = web::resource(path);
    for entry in entries {
        resource = resource.route((entry.make)(entry.method.clone()));
        methods.push(entry.method.clone());
    }
    if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
        methods.push(Method::HEAD);
        for entry in entries.iter().filter(|entry| entry.method == Method::GET) {
            resource = resource.route((entry.make)(Method::HEAD));
        }
    }
    let own_options = methods.contains(&Method::OPTIONS);
    if !own_options {
        methods.push(Method::OPTIONS);
    }
    methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    if !own_options {
        let allow = allow.clone();
        let options = move || {
            let allow = allow.clone();
            async move { HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish() }
        };
        resource = resource.route(web::method(Method::OPTIONS).to(options));
    }
    resource.default_service(web::to(move || {
        let error = ApiError::method_not_allowed(&allow);
        async move { Err::<HttpResponse, _>(error) }
    }))
}
