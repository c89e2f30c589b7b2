//! The pages over real sockets: who may see which, what they say, and how they may be kept.

use super::*;

#[tokio::test]
async fn the_dashboard_asks_for_the_token_and_never_takes_it_from_an_address() {
    let web = Web::start().await;
    for path in ["/".to_owned(), format!("/?token={}", TOKEN.replace(' ', "%20"))] {
        let (_, _, page) = web.get(&path).await;
        assert!(page.contains("Admin token") && !page.contains("molecule/core"), "{page}");
    }
    let wrong = web.http.get(web.url("/")).bearer_auth("the admin toke");
    assert_eq!(web.status(wrong).await, 401);
    let (status, _, page) = web.as_operator("/").await;
    assert_eq!(status.as_u16(), 200);
    for words in [
        "identity",
        "molecule/core",
        "config.yaml differs",
        "502 Bad Gateway",
        "missed 3, repaired 3, redelivered 2, oldest",
        "/r/abc",
        "no such &lt;branch&gt;",
        "/r/bad",
    ] {
        assert!(page.contains(words), "the dashboard lacks `{words}`:\n{page}");
    }
}

#[tokio::test]
async fn the_login_form_gives_a_session_that_is_not_the_token() {
    let web = Web::start().await;
    let log_in = |token: &str| {
        let form = format!("token={}", token.replace(' ', "+"));
        web.http.post(web.url("/login")).header("content-type", "application/x-www-form-urlencoded").body(form)
    };
    let (status, headers, page) = web.send(log_in("guess")).await;
    assert_eq!(status.as_u16(), 401);
    assert!(!headers.contains_key("set-cookie") && page.contains("not the token"));
    let (status, headers, _) = web.send(log_in(TOKEN)).await;
    assert_eq!((status.as_u16(), &headers["location"]), (303, &"/".parse().unwrap()));
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(!cookie.contains("admin"), "{cookie}");
    for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let session = cookie.split(';').next().unwrap();
    let (_, _, page) = web.send(web.http.get(web.url("/")).header("cookie", format!("other=1; {session}"))).await;
    assert!(page.contains("molecule/core"), "{page}");
    let foreign = log_in(TOKEN).header("sec-fetch-site", "cross-site");
    assert_eq!(web.status(foreign).await, 403, "another site's form logs nobody in");
    let (_, headers, _) = web.send(web.http.post(web.url("/logout"))).await;
    assert!(headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn a_demonstration_is_open() {
    let web = Web::with(Desk::default(), impatient(), true).await;
    assert!(web.get("/").await.2.contains("molecule/core"));
}

#[tokio::test]
async fn a_badge_tells_strangers_of_public_gates_only() {
    let web = Web::start().await;
    let (status, headers, svg) = web.get("/badge/identity.svg").await;
    assert_eq!((status.as_u16(), headers["content-type"].to_str().unwrap()), (200, "image/svg+xml"));
    assert!(svg.contains("drift-gate: drift"), "{svg}");
    assert_eq!(web.get("/badge/other.svg").await.0.as_u16(), 404);
    let web = Web::with(Desk { private: true, ..Desk::default() }, impatient(), false).await;
    assert_eq!(web.get("/badge/identity.svg").await.0.as_u16(), 404);
    assert_eq!(web.as_operator("/badge/identity.svg").await.0.as_u16(), 200);
}

#[tokio::test]
async fn readiness_names_what_fails_to_the_operator_only() {
    let web = Web::start().await;
    assert_eq!(web.get("/readyz").await.0.as_u16(), 200);
    let web = Web::with(Desk { broken: true, ..Desk::default() }, impatient(), false).await;
    let (status, _, body) = web.get("/readyz").await;
    assert_eq!((status.as_u16(), body.as_str()), (503, "not ready: 1 of 2 checks fail\n"));
    let (_, _, body) = web.as_operator("/readyz").await;
    assert!(body.contains("write molecule/core: 403 no write access"), "{body}");
    assert_eq!(web.get("/healthz").await.0.as_u16(), 200, "a restart would not mend it");
}

#[tokio::test]
async fn the_metrics_tell_what_waits_now() {
    let web = Web::start().await;
    let (_, headers, text) = web.get("/metrics").await;
    assert!(headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    for line in ["drift_gate_queue_length 2", "drift_gate_queue_age_seconds 90", "drift_gate_unsent_statuses 1"] {
        assert!(text.contains(line), "`{line}` is missing:\n{text}");
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_next_request_is_served() {
    let web = Web::start().await;
    assert_eq!(web.get("/r/dead").await.0.as_u16(), 500);
    assert_eq!(web.get("/healthz").await.0.as_u16(), 200);
}

#[tokio::test]
async fn a_page_whose_making_hangs_is_given_up_and_the_next_one_has_its_turn() {
    let limits = Limits { pages: 1, page_timeout: Duration::from_millis(200), ..impatient() };
    let web = Web::with(Desk::default(), limits, false).await;
    assert_eq!(web.get("/r/5105").await.0.as_u16(), 503);
    assert_eq!(web.get("/r/0123").await.0.as_u16(), 404);
}

#[tokio::test]
async fn every_answer_says_how_it_may_be_used() {
    let web = Web::start().await;
    for path in ["/", "/r/0123", "/nowhere", "/healthz", "/style.css", "/badge/identity.svg"] {
        let (_, headers, _) = web.get(path).await;
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"), "{path}");
        assert!(headers.contains_key("cache-control") && headers.contains_key("x-request-id"), "{path}");
    }
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let web = Web::start().await;
    let (status, headers, body) = web.get("/r/c0de").await;
    assert_eq!((status.as_u16(), headers["cache-control"].to_str().unwrap()), (200, "private, no-cache"));
    assert!(body.contains("not baked"), "{body}");
    let again = web.http.get(web.url("/r/c0de")).header("if-none-match", &headers["etag"]);
    let (status, _, body) = web.send(again).await;
    assert_eq!((status.as_u16(), body.as_str()), (304, ""));
    let packed = web.http.get(web.url("/r/c0de")).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["etag"], headers["etag"]);
}

#[tokio::test]
async fn the_operator_and_a_stranger_get_different_pages_of_a_private_gate() {
    let web = Web::with(Desk { private: true, ..Desk::default() }, impatient(), false).await;
    let (_, headers, stranger) = web.get("/r/c0de").await;
    assert!(!stranger.contains("model: opus"), "{stranger}");
    assert_eq!(headers["vary"], "cookie, authorization");
    assert!(web.as_operator("/r/c0de").await.2.contains("model: opus"));
}

#[tokio::test]
async fn an_unknown_page_is_404_and_a_broken_store_503() {
    let web = Web::start().await;
    for path in ["/r/0123", "/r/..%2f..%2fetc", "/r/not-an-id", "/nowhere"] {
        assert_eq!(web.get(path).await.0.as_u16(), 404, "{path}");
    }
    let (status, headers, _) = web.get("/r/b0b0").await;
    assert_eq!((status.as_u16(), headers.contains_key("retry-after")), (503, true));
    assert_eq!(web.status(web.http.request(Method::PUT, web.url("/r/0123"))).await, 405);
}

#[test]
fn a_path_in_the_public_address_is_put_before_links() {
    assert_eq!(base_path("https://gate.example.org"), "");
    assert_eq!(base_path("https://gate.example.org/"), "");
    assert_eq!(base_path("https://example.org/drift-gate/"), "/drift-gate");
}
