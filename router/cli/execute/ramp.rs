//! `kanaria ramp ...`: from what was typed to what is asked.

use http::Method;
use serde_json::Map;

use super::super::arguments::{Ramp, RampVerb};
use super::super::ask::{Question, Show, ask};
use super::super::{Code, Outcome, Program, offline, show};
use super::{Remote, Surroundings, changing, forced, look};
use crate::client::{Call, segment};

pub(super) fn execute(
    verb: RampVerb,
    program: &Program,
    remote: &Remote,
    surroundings: &Surroundings,
) -> Outcome {
    let question = match verb {
        RampVerb::Start { ramp, cold } => cold_or_warm(turn("start", ramp), cold),
        RampVerb::Pause(ramp) => turn("pause", ramp),
        RampVerb::Resume(ramp) => turn("resume", ramp),
        RampVerb::Advance(ramp) => turn("advance", ramp),
        RampVerb::Abort(ramp) => turn("abort", ramp),
        RampVerb::Finalize(ramp) => turn("finalize", ramp),
        RampVerb::Status { route } => of(&route, Show::Ramp),
        RampVerb::Forecast { route } => Question {
            call: Call::get(format!("/api/v1/routes/{}/forecast", segment(&route))),
            ..of(&route, Show::RampForecast)
        },
        RampVerb::Plan {
            route,
            config: None,
        } => of(&route, Show::RampPlan),
        RampVerb::Plan {
            route,
            config: Some(file),
        } => {
            return match (program.ramp)(&file, &route) {
                Ok(Some(ramp)) if remote.json => {
                    Outcome::done(offline::pretty(&show::ramp::dates(&ramp, surroundings.now)))
                }
                Ok(Some(ramp)) => {
                    Outcome::done(show::ramp::plan(&ramp, Some(&route), surroundings))
                }
                Ok(None) => {
                    let complaint =
                        format!("{} has no route `{route}` with a ramp", file.display());
                    Outcome::failed(Code::Failed, &complaint)
                }
                Err(invalid) => offline::invalid(&file, &invalid, remote.json),
            };
        }
    };
    ask(question, remote, surroundings)
}

fn of(route: &str, show: Show) -> Question {
    let call = Call::get(format!("/api/v1/routes/{}/ramp", segment(route)));
    Question {
        about: Some(route.to_owned()),
        ..look(call, show)
    }
}

fn turn(action: &str, ramp: Ramp) -> Question {
    let path = format!("/api/v1/routes/{}/ramp", segment(&ramp.route));
    let body = Map::from_iter([("action".to_owned(), action.into())]);
    let question = changing(Method::POST, path, body, ramp.change, Show::RampTurned);
    forced(
        Question {
            about: Some(ramp.route),
            ..question
        },
        ramp.force,
    )
}

fn cold_or_warm(mut question: Question, cold: bool) -> Question {
    if let Some(serde_json::Value::Object(body)) = question.call.body.as_mut().filter(|_| cold) {
        body.insert("cold".into(), true.into());
    }
    question
}
