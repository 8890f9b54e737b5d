//! A scripted browser: follows redirects on loopback, keeps cookies, and fills in the forms of sign-in pages.
//!
//! It knows the pages of the sandbox and the development pages of npm `oidc-provider` (login, consent, device code).

mod cookies;
mod form;

use axum::http::header;
use url::Url;

use crate::net::{self, NetError};
use cookies::Cookies;
use form::Form;

/// Most redirects in a row.
const REDIRECTS: usize = 10;
/// Most forms in one visit.
const FORMS: usize = 8;

/// Where a visit ended.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The last address.
    pub url: Url,
    /// Its HTTP status.
    pub status: u16,
    /// Its body.
    pub body: String,
}

/// Why a visit did not end on a page.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// The address, or one it led to, is not a URL.
    #[error("the address is not a URL")]
    Url(#[from] url::ParseError),
    /// No answer, too large an answer, or a place that is not on loopback.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Redirects that lead nowhere.
    #[error("more than {REDIRECTS} redirects in a row")]
    Redirects,
    /// Forms that lead nowhere: the page refused what was filled in.
    #[error("more than {FORMS} forms in one visit")]
    Forms,
}

/// Opens an address as the person `ada` and does what a person would do there.
///
/// # Errors
/// As [`BrowserError`] lists; an error page is a [`Visit`], not an error.
pub async fn visit(url: &str) -> Result<Visit, BrowserError> {
    Browser::new("ada").visit(url).await
}

/// A browser with its cookies; the second visit finds the first one's session.
#[derive(Debug)]
pub struct Browser {
    login: String,
    user_code: Option<String>,
    cookies: Cookies,
}

impl Browser {
    /// A fresh browser of a person who types this login.
    #[must_use]
    pub fn new(login: &str) -> Self {
        Self { login: login.into(), user_code: None, cookies: Cookies::default() }
    }

    /// The code that the device shows, typed where a page asks for one.
    #[must_use]
    pub fn with_user_code(self, user_code: &str) -> Self {
        Self { user_code: Some(user_code.into()), ..self }
    }

    /// As [`visit`].
    ///
    /// # Errors
    /// As [`visit`].
    pub async fn visit(&mut self, url: &str) -> Result<Visit, BrowserError> {
        let mut page = self.follow(Url::parse(url)?, None).await?;
        for _ in 0..FORMS {
            let Some(form) = Form::known(&page.body) else { return Ok(page) };
            let Some(filled) = form.filled(&self.login, self.user_code.as_deref()) else { return Ok(page) };
            let to = page.url.join(&form.action)?;
            page = self.follow(to, Some(filled)).await?;
        }
        Err(BrowserError::Forms)
    }

    /// One request (a `POST` if there is something to post) and the redirects after it.
    async fn follow(&mut self, mut url: Url, mut post: Option<String>) -> Result<Visit, BrowserError> {
        for _ in 0..=REDIRECTS {
            let to = net::loopback(&url)?.clone();
            let mut request = match post.take() {
                Some(body) => net::client()
                    .post(to)
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(body),
                None => net::client().get(to),
            };
            if let Some(cookies) = self.cookies.of(&url) {
                request = request.header(header::COOKIE, cookies);
            }
            let response = request.send().await.map_err(NetError::from)?;
            for cookie in response.headers().get_all(header::SET_COOKIE) {
                self.cookies.set(&url, cookie.to_str().unwrap_or_default());
            }
            let status = response.status();
            let location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            if let Some(location) = location.filter(|_| status.is_redirection()) {
                url = url.join(location)?;
                continue;
            }
            let body = net::body(response).await?;
            let body = String::from_utf8_lossy(&body).into_owned();
            return Ok(Visit { url, status: status.as_u16(), body });
        }
        Err(BrowserError::Redirects)
    }
}
