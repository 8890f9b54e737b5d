//! Refresh grant: a second secret, the refresh token, is spent, and both come anew.

use std::sync::Arc;

use super::standing::Standing;
use super::{Outcome, judge, replace};
use crate::fault::{Point, point};
use crate::holding::Holding;
use crate::service::RefreshGrant;

pub(super) async fn rotate(at: &Standing<'_>, grant: &dyn RefreshGrant, held: &Arc<Holding>) -> Outcome {
    let Some(refresh_token) = &held.companion else {
        return Err(at.by_hand("no refresh token is held that has not been spent"));
    };
    at.may_begin(held).await?;
    let began = at.note_intent(held).await?;
    point(Point::GrantNoted);
    let answer = grant.refresh(&at.api, &held.value, refresh_token).await;
    point(Point::GrantAnswered);
    let new = match replace::readable(answer) {
        Ok(minted) => replace::keep(at, held, began, minted).await?,
        Err(error) => return Err(judge::failed(at, held, began, error).await),
    };
    point(Point::GrantStored);
    let rotated = replace::prove(at, &new).await;
    point(Point::GrantProven);
    Ok(rotated)
}
