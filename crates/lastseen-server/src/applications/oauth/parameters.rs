//! The parameters of a request, by the rules of RFC 6749, 3.2 (which RFC 7662 and RFC 7009 build on).

use axum::extract::{FromRequest, Request};
use http::header::CONTENT_TYPE;
use lastseen_axum::{ApiForm, Problem};

/// The parameters that came with a request.
#[derive(Debug)]
pub(in crate::applications) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The parameter called `name`, where it was sent with a value.
    ///
    /// One without a value counts as not sent, none may be sent twice, and those that are not known are ignored.
    pub(in crate::applications) fn take(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.0.iter_mut().filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| std::mem::take(value));
        if values.next().is_some() {
            return Err(Problem::invalid_request(format!(
                "{name} may be sent once."
            )));
        }
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// The token that the request is about: the one parameter that is required (RFC 7662, 2.1; RFC 7009, 2.1).
    pub(super) fn take_token(&mut self) -> Result<String, Problem> {
        self.take("token")?
            .ok_or_else(|| Problem::invalid_request("token is missing."))
    }
}

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let has_no_body = http_body::Body::is_end_stream(request.body());
        if has_no_body && !request.headers().contains_key(CONTENT_TYPE) {
            return Ok(Self(Vec::new()));
        }
        let ApiForm(parameters) = ApiForm::from_request(request, state).await?;
        Ok(Self(parameters))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn read(content_type: Option<&str>, body: &'static str) -> Result<Parameters, u16> {
        let mut request = Request::new(Body::from(body));
        if let Some(content_type) = content_type {
            request
                .headers_mut()
                .insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        Parameters::from_request(request, &())
            .await
            .map_err(|problem| problem.code().status().as_u16())
    }

    const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

    #[tokio::test]
    async fn a_parameter_without_a_value_is_one_that_was_not_sent() {
        for body in ["", "token=", "token", "other=x"] {
            let mut parameters = read(FORM, body).await.unwrap();
            assert_eq!(parameters.take("token").unwrap(), None, "{body}");
            assert!(parameters.take_token().is_err(), "{body}");
        }
    }

    #[tokio::test]
    async fn unknown_parameters_are_ignored_and_repeated_ones_are_refused() {
        let body = "unknown=1&token=a%2Bb&unknown=2&twice=1&twice=2";
        let mut parameters = read(FORM, body).await.unwrap();
        assert_eq!(parameters.take_token().unwrap(), "a+b");
        assert!(parameters.take("twice").is_err());
    }

    #[tokio::test]
    async fn a_body_of_another_type_is_unsupported_and_no_body_has_no_parameters() {
        assert_eq!(read(None, "token=a").await.unwrap_err(), 415);
        assert_eq!(read(Some("application/json"), "{}").await.unwrap_err(), 415);
        assert!(read(None, "").await.unwrap().take_token().is_err());
    }
}
