//! What the person is asked, who may answer, and how long an answer holds.

#[path = "consent/answers.rs"]
mod answers;
#[path = "consent/kept.rs"]
mod kept;

use std::time::Duration;

use keyfob_agent::asker::Asker;
use keyfob_agent::consent::Seat;
use keyfob_agent::watch::{Wants, Watch};
use keyfob_ipc::reply::{Approval, Event, GrantReport, Headers, Question, Reply};
use keyfob_ipc::{Code, ControlAsk, Refusal, ToolAsk};

use crate::company::{CLUSTER, CONFIG, Company, MINUTE, eventually};
use crate::programs::{Programs, policy};

const FIRST: &str = "confirm = 'first'";
const ALWAYS: &str = "confirm = 'always'";

/// A person with a token whose policy asks.
struct House {
    company: Company,
    programs: Programs,
    terminal: Asker,
}

impl House {
    async fn with(lines: &str) -> Self {
        let company = Company::with(&format!("{CONFIG}{}", policy("token.aspect", lines)), |_| {}).await;
        company.add_token("aspect", "aw_1").await.unwrap();
        let programs = Programs::new();
        let terminal = programs.on_a_terminal();
        Self { company, programs, terminal }
    }

    /// A new call of a program.
    async fn get(&self, program: &str) -> Result<Headers, Refusal> {
        get(&self.company, &self.programs.asker(program)).await
    }

    /// Whether a new call is given; where not, the person is asked.
    async fn is_given(&self, program: &str) -> bool {
        match self.get(program).await {
            Ok(_) => true,
            Err(refusal) if refusal.code == Code::ApprovalPending => false,
            Err(refusal) => panic!("{program} is refused: {refusal:?}"),
        }
    }

    fn number(&self) -> Seat {
        self.company.agent.watchers.number()
    }

    fn window(&self) -> Watch {
        let wants = Wants { questions: true, ..Wants::default() };
        self.company.agent.watchers.sit(wants).unwrap()
    }

    fn questions(&self, seat: Seat) -> Vec<Question> {
        self.company.agent.questions(seat)
    }

    /// Answers the only open question on a terminal, as a person does.
    async fn answer(&self, approval: Approval) -> Result<String, Refusal> {
        let seat = self.number();
        let [question] = &self.questions(seat)[..] else { panic!("not one question") };
        self.answer_as(seat, &self.terminal, &question.id, approval, Some("aspect")).await
    }

    async fn answer_as(
        &self,
        seat: Seat,
        asker: &Asker,
        id: &str,
        approval: Approval,
        typed: Option<&str>,
    ) -> Result<String, Refusal> {
        self.control(
            seat,
            asker,
            false,
            ControlAsk::Answer { id: id.to_owned(), approval, typed: typed.map(str::to_owned) },
        )
        .await
    }

    async fn control(
        &self,
        seat: Seat,
        asker: &Asker,
        is_window: bool,
        ask: ControlAsk,
    ) -> Result<String, Refusal> {
        match self.company.agent.control_of(ask, seat, asker, is_window).await? {
            Reply::Done { say } => Ok(say),
            other => panic!("not done: {other:?}"),
        }
    }

    async fn grants(&self) -> Vec<GrantReport> {
        match self.company.control(ControlAsk::Grants).await {
            Ok(Reply::Grants(grants)) => grants,
            other => panic!("not answers: {other:?}"),
        }
    }

    async fn revoke(&self, which: Option<&str>) -> Result<String, Refusal> {
        let ask = ControlAsk::Revoke { which: which.map(str::to_owned) };
        self.control(self.number(), &self.terminal, false, ask).await
    }
}

async fn get(company: &Company, asker: &Asker) -> Result<Headers, Refusal> {
    match company.agent.tool_of(ToolAsk::Get { uri: CLUSTER.to_owned() }, asker).await? {
        Reply::Headers(headers) => Ok(headers),
        other => panic!("not headers: {other:?}"),
    }
}

async fn event(window: &mut Watch) -> Event {
    tokio::time::timeout(Duration::from_secs(20), window.next())
        .await
        .expect("in time")
        .expect("this window is quick")
}

async fn question(window: &mut Watch) -> Question {
    match event(window).await {
        Event::Question(question) => question,
        other => panic!("no question: {other:?}"),
    }
}

#[tokio::test]
async fn a_burst_is_one_question_and_one_notice_and_the_next_call_works() {
    let house = House::with(FIRST).await;
    let mut window = house.window();
    let burst: Vec<_> = (0..150)
        .map(|_| {
            let (agent, asker) = (house.company.agent.clone(), house.programs.asker("terraform"));
            tokio::spawn(async move { agent.tool_of(ToolAsk::Get { uri: CLUSTER.to_owned() }, &asker).await })
        })
        .collect();
    for call in burst {
        let refused = call.await.unwrap().unwrap_err();
        assert_eq!(refused.code, Code::ApprovalPending);
        assert_eq!(refused.code.exit(), 5);
        assert_eq!(refused.say, "`terraform` needs your approval to use `token.aspect`");
        assert_eq!(refused.hint, "keyfob approve token.aspect");
    }
    let seat = house.number();
    let [asked] = &house.questions(seat)[..] else { panic!("not one question") };
    assert_eq!((asked.count, asked.entry.as_str(), asked.act.as_str()), (150, "token.aspect", "get"));
    assert_eq!(asked.target.as_deref(), Some("aw-remote-ext.acme.dev"));
    assert_eq!(asked.asking.program, house.programs.path("terraform").to_str().unwrap());
    assert_eq!(
        (asked.opened.as_str(), asked.closes.as_str()),
        ("2026-11-21T08:00:00Z", "2026-11-21T08:01:00Z")
    );
    // A window that is slow sees the last state of it, under an id of its own.
    let seen = question(&mut window).await;
    assert_eq!((seen.count, seen.id == asked.id), (150, false));

    eventually("a notice", async || !house.company.desktop.titles().is_empty()).await;
    house.answer(Approval::Always).await.unwrap();
    assert_eq!(event(&mut window).await, Event::QuestionClosed { id: seen.id });
    house.get("terraform").await.unwrap();
    assert!(!house.is_given("stray").await, "another program is asked about");
    eventually("notices", async || house.company.desktop.titles().len() >= 3).await;
    let titles = house.company.desktop.titles();
    let id = house.grants().await[0].id.clone();
    assert_eq!(
        titles,
        ["terraform asks for token.aspect", "terraform may use token.aspect", "stray asks for token.aspect"]
    );
    let told = &house.company.desktop.shown()[1];
    assert_eq!(
        told.body,
        format!("Allowed until it is revoked. Take it back with: keyfob grants revoke {id}")
    );
}

#[tokio::test]
async fn a_question_closes_after_a_minute_and_says_so() {
    let house = House::with(FIRST).await;
    let mut window = house.window();
    assert!(!house.is_given("terraform").await);
    let first = question(&mut window).await;
    house.company.pass(MINUTE - Duration::from_secs(1));
    assert_eq!(house.company.agent.open_questions(), 1);
    // Nobody asks anything: it closes by itself.
    house.company.pass(Duration::from_secs(1));
    assert_eq!(event(&mut window).await, Event::QuestionClosed { id: first.id.clone() });
    let answer = ControlAsk::Answer { id: first.id.clone(), approval: Approval::Always, typed: None };
    let late = house.control(window.seat(), &house.terminal, true, answer).await.unwrap_err();
    assert_eq!(late.code, Code::BadRequest);
    assert!(!house.is_given("terraform").await);
    assert_ne!(question(&mut window).await.id, first.id, "another question has another id");

    // A clock that is set back leaves no question open for longer.
    house.company.clock.set("2026-11-21T07:00:00Z".parse().unwrap());
    assert_eq!(house.company.agent.open_questions(), 0);
}

#[tokio::test]
async fn a_window_that_comes_later_is_sent_what_is_open() {
    let house = House::with(FIRST).await;
    assert!(!house.is_given("terraform").await);
    let mut window = house.window();
    house.company.agent.ask_again(window.seat());
    let asked = question(&mut window).await;
    assert!(!house.is_given("terraform").await);
    let again = question(&mut window).await;
    assert_eq!((again.id, again.count), (asked.id, 2));
}

#[tokio::test]
async fn there_are_only_so_many_questions() {
    let house = House::with(FIRST).await;
    for number in 0..16 {
        assert!(!house.is_given(&format!("program{number}")).await);
    }
    let refused = house.get("one-more").await.unwrap_err();
    assert_eq!(refused.code, Code::ApprovalPending);
    assert!(refused.say.ends_with("16 other questions wait for an answer already"), "{refused:?}");
    assert_eq!(house.company.agent.open_questions(), 16);
    assert!(!house.is_given("program3").await, "one of them is asked again");
    eventually("the notices", async || house.company.desktop.titles().len() >= 16).await;
    assert_eq!(house.company.desktop.titles().len(), 16);
    house.company.pass(MINUTE);
    assert!(!house.is_given("one-more").await);
    assert_eq!(house.company.agent.open_questions(), 1);
}
