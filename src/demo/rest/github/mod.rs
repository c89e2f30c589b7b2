//! The API below `/api/v3` and `/api/graphql`, as GitHub Enterprise Server documents it: the same repositories in the other
//! dialect, as far as drift-gate speaks it. What is not here answers 404.
//!
//! What differs is what `docs/forges.md` tells: `state` for `status`, pages of a hundred by `per_page`, git's objects instead of
//! `contents`, 422 with a list of errors where Gitea says 409, a pull request without commits refused. Deliveries are those of
//! the other dialect: they are hints.

use axum::Router;
use axum::routing::{delete, get, patch, post, put};

use self::app::Own;
use super::On;
use crate::demo::forge::Forge;

mod app;
mod git;
mod issues;
mod pulls;
mod repos;
mod settings;
mod teams;
pub(super) mod told;

/// Every address of this dialect.
pub(super) fn router() -> Router<Forge> {
    let api = |path: &str| format!("/api/v3{path}");
    let repo = |path: &str| format!("/api/v3/repos/{{owner}}/{{repo}}{path}");
    Router::new()
        .route("/api/graphql", post(On(pulls::graphql)))
        .route(&api("/app"), get(Own(app::app)))
        .route(&api("/app/installations"), get(Own(app::installations)))
        .route(&api("/app/installations/{id}/access_tokens"), post(Own(app::mint)))
        .route(&api("/app/hook/config"), get(Own(app::hook)).patch(Own(app::edit_hook)))
        .route(&api("/app/hook/deliveries"), get(Own(app::deliveries)))
        .route(&api("/app/hook/deliveries/{id}/attempts"), post(Own(app::redeliver)))
        .route(&api("/orgs/{owner}/installation"), get(Own(app::installation)))
        .route(&api("/orgs/{org}/teams/{team}"), get(On(teams::get)))
        .route(&api("/orgs/{org}/teams/{team}/memberships/{user}"), get(On(teams::membership)))
        .route(&api("/users/{user}"), get(On(app::user)))
        .route(&repo("/installation"), get(Own(app::installation)))
        .route(&repo("/commits/{sha}/check-runs"), get(On(app::checks)))
        .route(&repo("/check-runs"), post(On(app::add_check)))
        .route(&repo("/check-runs/{id}"), patch(On(app::edit_check)))
        .route(&repo("/check-runs/{id}/annotations"), get(On(app::annotations)))
        .route(&api("/meta"), get(On(settings::meta)))
        .route(&api("/user"), get(On(repos::me)))
        .route(&api("/repositories/{id}"), get(On(repos::by_id)))
        .route(&repo(""), get(On(repos::get)))
        .route(&repo("/collaborators/{user}/permission"), get(On(repos::permission)))
        .route(&repo("/branches"), get(On(settings::branches)))
        .route(&repo("/branches/{branch}"), get(On(settings::branch)))
        .route(&repo("/branches/{branch}/protection"), get(On(settings::protection)).put(On(settings::protect)))
        .route(&repo("/branches/{branch}/protection/required_status_checks"), patch(On(settings::require)))
        .route(&repo("/rules/branches/{branch}"), get(On(settings::rules)))
        .route(&repo("/hooks"), get(On(settings::hooks)).post(On(settings::add_hook)))
        .route(&repo("/hooks/{id}"), delete(On(super::repos::remove_hook)))
        .route(&repo("/hooks/{id}/tests"), post(On(super::repos::test_hook)))
        .route(&repo("/statuses/{sha}"), post(On(repos::post_status)))
        .route(&repo("/commits/{sha}/statuses"), get(On(repos::statuses)))
        .route(&repo("/contents/{*path}"), get(On(git::file)))
        .route(&repo("/git/blobs"), post(On(git::blob)))
        .route(&repo("/git/trees"), post(On(git::tree)))
        .route(&repo("/git/commits"), post(On(git::make_commit)))
        .route(&repo("/git/commits/{sha}"), get(On(git::commit)))
        .route(&repo("/git/refs"), post(On(git::add_branch)))
        .route(&repo("/git/refs/heads/{*branch}"), patch(On(git::move_branch)).delete(On(git::delete_branch)))
        .route(&repo("/pulls"), get(On(pulls::list)).post(On(pulls::open)))
        .route(&repo("/pulls/{number}"), get(On(pulls::get)).patch(On(pulls::edit)))
        .route(&repo("/pulls/{number}/merge"), put(On(pulls::merge)))
        .route(&repo("/pulls/{number}/commits"), get(On(pulls::commits)))
        .route(&repo("/pulls/{number}/files"), get(On(pulls::files)))
        .route(&repo("/pulls/{number}/requested_reviewers"), post(On(pulls::ask_reviewers)))
        .route(&repo("/issues/{number}"), get(On(issues::get)))
        .route(&repo("/issues/{number}/labels"), post(On(issues::put_labels)))
        .route(&repo("/issues/{number}/assignees"), post(On(issues::assign)))
        .route(&repo("/issues/{number}/comments"), get(On(issues::comments_of)).post(On(issues::comment)))
        .route(&repo("/issues/comments"), get(On(issues::comments)))
        .route(&repo("/issues/comments/{id}"), get(On(issues::get_comment)).patch(On(issues::edit_comment)))
        .route(&repo("/issues/comments/{id}/reactions"), post(On(issues::react)))
        .route(&repo("/actions/workflows/{workflow}/dispatches"), post(On(issues::dispatch)))
}
