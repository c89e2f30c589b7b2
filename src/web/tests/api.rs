//! The API over real sockets: who may read it, what a program gets for a wrong question, and pages that lose no row.

use serde_json::Value;

use super::*;

impl Web {
    /// What the operator gets, as JSON.
    async fn ask(&self, path: &str) -> (u16, Value) {
        let (status, headers, body) = self.as_operator(path).await;
        assert_eq!(headers["content-type"], "application/json", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        (status.as_u16(), serde_json::from_str(&body).expect(&body))
    }

    /// What stands in the answer as the error.
    async fn refused(&self, path: &str) -> (u16, String) {
        let (status, body) = self.ask(path).await;
        assert_eq!(body.as_object().expect("an object").len(), 1, "{body}");
        (status, body["error"].as_str().expect("words").to_owned())
    }

    /// All rows of a list, page by page.
    async fn all(&self, list: &str, limit: usize) -> Vec<Value> {
        let (mut rows, mut path) = (Vec::new(), format!("/api/v1/{list}?limit={limit}"));
        loop {
            let (status, page) = self.ask(&path).await;
            assert_eq!(status, 200, "{path}: {page}");
            let here = page[list].as_array().expect("rows");
            assert!(here.len() <= limit, "{page}");
            rows.extend(here.iter().cloned());
            match page["next"].as_str() {
                Some(next) => path = format!("/api/v1/{list}?limit={limit}&after={next}"),
                None => return rows,
            }
        }
    }
}

const ADDRESSES: [&str; 6] = [
    "/api/v1/status",
    "/api/v1/deliveries",
    "/api/v1/targets",
    "/api/v1/gates",
    "/api/v1/audit",
    "/api/v1/reports/c0de",
];

#[tokio::test]
async fn the_api_is_the_operators() {
    let web = Web::start().await;
    for path in ADDRESSES {
        let (status, headers, body) = web.get(path).await;
        assert_eq!(status.as_u16(), 401, "{path}");
        assert_eq!(headers["www-authenticate"], "Bearer realm=\"drift-gate\"");
        assert!(body.starts_with("{\"error\":\"this needs the admin token"), "{body}");
        let wrong = web.http.get(web.url(path)).bearer_auth("guessed");
        assert_eq!(web.status(wrong).await, 401, "{path}");
        assert_eq!(web.ask(path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn who_logged_in_on_the_dashboard_reads_the_api_too() {
    let web = Web::start().await;
    let form = format!("token={}", TOKEN.replace(' ', "+"));
    let form = web.http.post(web.url("/login")).header("content-type", "application/x-www-form-urlencoded").body(form);
    let (_, headers, _) = web.send(form).await;
    let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(web.status(web.http.get(web.url("/api/v1/targets")).header("cookie", cookie)).await, 200);
}

#[tokio::test]
async fn in_the_open_everybody_reads_it() {
    let web = Web::with(Desk::default(), impatient(), true).await;
    assert_eq!(web.get("/api/v1/status").await.0.as_u16(), 200);
}

#[tokio::test]
async fn page_by_page_every_row_is_told_once() {
    let web = Web::start().await;
    for (list, key) in [("deliveries", "number"), ("targets", "id"), ("gates", "id"), ("audit", "number")] {
        let whole: Vec<Value> = web.all(list, 500).await.iter().map(|row| row[key].clone()).collect();
        assert_eq!(whole.len(), ROWS, "{list}");
        for limit in [1, 2, ROWS, ROWS + 1] {
            let paged: Vec<Value> = web.all(list, limit).await.iter().map(|row| row[key].clone()).collect();
            assert_eq!(paged, whole, "{list} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_question_with_a_fault_is_told_what_is_wrong() {
    let web = Web::start().await;
    for list in ["deliveries", "targets", "gates", "audit"] {
        for limit in ["0", "501", "-1", "ten", "", "99999999999999999999"] {
            let (status, error) = web.refused(&format!("/api/v1/{list}?limit={limit}")).await;
            assert_eq!((status, error.as_str()), (400, "`limit` is a number from 1 to 500"), "{list} {limit}");
        }
        let long = "a:".repeat(400);
        for after in ["", "x", "12-", "-5", "'; DROP TABLE wanted", &long] {
            let (status, error) = web.refused(&format!("/api/v1/{list}?after={after}")).await;
            assert_eq!(status, 400, "{list} {after}");
            assert!(error.starts_with("`after` is the `next` of the page before"), "{error}");
        }
        let (status, error) = web.refused(&format!("/api/v1/{list}?limt=5")).await;
        assert_eq!((status, error.as_str()), (400, "`limt` is no parameter; there are `limit` and `after`"));
        let (status, error) = web.refused(&format!("/api/v1/{list}?limit=5&limit=6")).await;
        assert_eq!((status, error.as_str()), (400, "`limit` is given twice"));
    }
    assert_eq!(web.refused("/api/v1/status?limit=5").await.0, 400);
}

#[tokio::test]
async fn a_program_gets_json_whatever_happens() {
    let web = Web::start().await;
    let (status, error) = web.refused("/api/v1/reports/0123").await;
    assert_eq!((status, error.as_str()), (404, "there is no target with this id; `/api/v1/targets` lists them"));
    assert_eq!(web.refused("/api/v1/nothing").await.0, 404);
    assert_eq!(web.refused("/api/v2/targets").await.0, 404);
    let (status, headers, body) = web.send(web.http.post(web.url("/api/v1/gates")).bearer_auth(TOKEN)).await;
    assert_eq!((status.as_u16(), headers["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    assert_eq!(body, "{\"error\":\"the API is read with GET\"}");
    let broken = Web::with(Desk { broken: true, ..Desk::default() }, impatient(), false).await;
    let (status, headers, body) = broken.as_operator("/api/v1/deliveries").await;
    assert_eq!((status.as_u16(), headers.contains_key("retry-after")), (503, true));
    assert_eq!(body, "{\"error\":\"this cannot be read right now; try again\"}");
}
