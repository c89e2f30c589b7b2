//! Teams and deleted comments, as a Gitea tells of them.

use serde_json::{Value, json};

use crate::forge::{BOT, CORE, Forge};

async fn status(forge: &Forge, user: &str, method: &str, path: &str) -> u16 {
    forge.call(user, method, path, &Value::Null).await.status
}

#[tokio::test]
async fn a_team_is_told_to_who_is_in_it_and_to_owners() {
    let forge = Forge::start().await;
    let id = forge.make("POST", "/orgs/molecule/teams", json!({ "name": "leads" })).await["id"].clone();
    let members = format!("/teams/{id}/members");
    assert_eq!(status(&forge, BOT, "GET", "/orgs/molecule/teams/search?q=lead").await, 403);
    assert_eq!(status(&forge, BOT, "GET", &format!("{members}/reader")).await, 404);
    assert_eq!(status(&forge, BOT, "PUT", &format!("{members}/{BOT}")).await, 403);
    assert_eq!(status(&forge, "maintainer", "PUT", &format!("{members}/{BOT}")).await, 204);
    let found = forge.call(BOT, "GET", "/orgs/molecule/teams/search?q=LEA", &Value::Null).await.json();
    assert_eq!((found["data"][0]["name"].as_str(), found["data"][0]["id"] == id), (Some("leads"), true));
    assert_eq!(status(&forge, BOT, "GET", &format!("{members}/{BOT}")).await, 200);
    assert_eq!(status(&forge, BOT, "GET", &format!("{members}/reader")).await, 404);
    // In the organization now, but not in that team.
    let other = forge.make("POST", "/orgs/molecule/teams", json!({ "name": "others" })).await["id"].clone();
    assert_eq!(status(&forge, BOT, "GET", &format!("/teams/{other}/members/reader")).await, 403);
    let found = forge.call(BOT, "GET", "/orgs/molecule/teams/search?q=others", &Value::Null).await.json();
    assert_eq!(found["data"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn a_deleted_comment_is_gone_and_only_its_author_or_a_writer_deletes_it() {
    let forge = Forge::start().await;
    let issue = forge.make("POST", &format!("/repos/{CORE}/issues"), json!({ "title": "Talk" })).await;
    let comments = format!("/repos/{CORE}/issues/{}/comments", issue["number"]);
    let comment = forge.make("POST", &comments, json!({ "body": "hello" })).await;
    assert_eq!(comment["created_at"], comment["updated_at"]);
    let path = format!("/repos/{CORE}/issues/comments/{}", comment["id"]);
    assert_eq!(status(&forge, "reader", "DELETE", &path).await, 403);
    assert_eq!(status(&forge, BOT, "DELETE", &path).await, 204);
    assert_eq!(status(&forge, BOT, "GET", &path).await, 404);
    assert_eq!(status(&forge, BOT, "PATCH", &path).await, 404);
}
