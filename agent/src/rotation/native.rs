//! Native: one call gives the new value, and the old one is dead the moment the service answers.

use std::sync::Arc;

use super::standing::Standing;
use super::{Outcome, judge, replace};
use crate::fault::{Point, point};
use crate::holding::Holding;
use crate::service::Native;

pub(super) async fn rotate(at: &Standing<'_>, native: &dyn Native, held: &Arc<Holding>) -> Outcome {
    at.may_begin(held).await?;
    let began = at.note_intent(held).await?;
    point(Point::NativeNoted);
    let answer = native.rotate(&at.api, &held.value, at.token.end_from(began)).await;
    point(Point::NativeAnswered);
    let new = match replace::readable(answer) {
        Ok(minted) => replace::keep(at, held, began, minted).await?,
        Err(error) => return Err(judge::failed(at, held, began, error).await),
    };
    point(Point::NativeStored);
    let rotated = replace::prove(at, &new).await;
    point(Point::NativeProven);
    Ok(rotated)
}
