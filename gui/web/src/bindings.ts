// Generated from gui/src/page.rs. To write it again:
// cargo run -p keyfob-gui --example bindings > gui/web/src/bindings.ts

/**
 * The five views of the window.
 */
export type View = "overview" | "permissions" | "timeline" | "activity" | "settings";

/**
 * All that the window draws.
 */
export type Page = {
/**
 * Whether the agent is there.
 */
agent: AgentState,
/**
 * The lock, where it is on.
 */
lock: Lock | null,
/**
 * Where secrets are kept; absent until the agent has said it.
 */
keychain: Keychain | null,
/**
 * The configuration; absent until the agent has said it.
 */
configuration: Configuration | null,
/**
 * Every entry, by kind and then by name.
 */
rows: Array<Row>,
/**
 * What the person is asked, the oldest first.
 */
questions: Array<Question>,
/**
 * A sign-in under way, or how the last one ended, until it is put away ([`PageAsk::PutSignInAway`]).
 */
sign_in: SignIn | null,
/**
 * How many things need the person.
 */
needs: number,
/**
 * What belongs to this program, not to the agent.
 */
own: Own, };

/**
 * Whether the agent is there.
 */
export type AgentState = { "is": "awaited" } | { "is": "running",
/**
 * Its version.
 */
version: string,
/**
 * Since when (RFC 3339).
 */
since: string,
/**
 * The file of its tool door.
 */
socket: string,
/**
 * Whether it runs apart from the person's own profile.
 */
own_profile: boolean, } | { "is": "absent",
/**
 * One sentence.
 */
say: string,
/**
 * What to do besides the button; may be empty.
 */
hint: string,
/**
 * Whether starting it may help: not where another user holds its place.
 */
can_start: boolean, };

/**
 * Keyfob is locked.
 */
export type Lock = {
/**
 * Since when (RFC 3339).
 */
since: string,
/**
 * `person`, `screen`, `sleep` or `unknown`.
 */
by: string,
/**
 * Whether unlocking needs the passphrase of the file keychain.
 */
needs_passphrase: boolean, };

/**
 * Where secrets are kept.
 */
export type Keychain = {
/**
 * `system`, `file` or `memory`.
 */
kind: string,
/**
 * `present`, `missing`, `locked`, `denied` or `failing`.
 */
state: string,
/**
 * What stands in the way.
 */
trouble: Trouble | null,
/**
 * Whether unlocking needs the passphrase of the file keychain.
 */
needs_passphrase: boolean,
/**
 * Whether that passphrase is still to be chosen.
 */
is_new: boolean, };

/**
 * What stands in the way, and what to do about it.
 */
export type Trouble = {
/**
 * Stable: `token_needed`.
 */
code: string,
/**
 * One sentence, lower case start.
 */
say: string,
/**
 * The command that mends it; may be empty.
 */
hint: string, };

/**
 * The configuration in force.
 */
export type Configuration = {
/**
 * Its file.
 */
path: string,
/**
 * Whether the file exists.
 */
exists: boolean,
/**
 * Its errors: `line 4: …`.
 */
errors: Array<string>,
/**
 * Whether a configuration is in force in spite of them.
 */
in_force: boolean,
/**
 * When reminders come before an end: `30d`, `14d`, …
 */
reminders: Array<string>,
/**
 * What locks Keyfob: `screen`, `sleep`.
 */
lock_on: Array<string>, };

/**
 * One entry.
 */
export type Row = {
/**
 * `token.aspect`.
 */
name: string,
/**
 * `aspect`.
 */
short: string,
/**
 * `sso`, `token`, `aws`, `machine`, `outscale`, `outerbounds`, `secret`; a kind of a newer agent is shown as it is.
 */
kind: string,
/**
 * What it is more precisely: the kind, but `aws-command` for keys that another program gives, `aws-outerbounds` for those of a
 * deployment of Outerbounds, `sso-machine` for a session of a job, `secret-aws` for values in AWS.
 */
what: string,
/**
 * What it is for: hosts, a role, an issuer where there is nothing else.
 */
targets: Array<string>,
/**
 * The entry that it is obtained through.
 */
through: string | null,
/**
 * The person or account.
 */
owner: string | null,
/**
 * How it is.
 */
state: RowState,
/**
 * Since when what is held is held (RFC 3339), where that is known: the left end of the bar.
 */
since: string | null,
/**
 * Its end (RFC 3339).
 */
until: string | null,
/**
 * Whether the end is assumed.
 */
until_assumed: boolean,
/**
 * Who told the end, in words: `the token service`.
 */
until_by: string | null,
/**
 * What stands in the way.
 */
trouble: Trouble | null,
/**
 * What else a person should know, the most urgent first.
 */
notes: Array<Remark>,
/**
 * The one thing to do now.
 */
due: Deed | null,
/**
 * What else can be done with it.
 */
can: Array<Deed>,
/**
 * What will happen to it within twelve months, in order of time.
 */
plan: Array<Planned>,
/**
 * No reminders until then (RFC 3339).
 */
quiet_until: string | null,
/**
 * What a pasted token must begin with.
 */
prefix: string | null,
/**
 * Whether there is a page on which a person makes the token.
 */
has_portal: boolean,
/**
 * Whether its service replaces it by itself, so that nothing has to be pasted.
 */
rotates_by_service: boolean,
/**
 * What the policy says, as the configuration has it: `confirm` and the like; empty without one.
 */
policy: Array<string>, };

/**
 * How an entry is.
 */
export type RowState = "signed-out" | "live" | "ending" | "waiting" | "refused" | "idle";

/**
 * One sentence about an entry.
 */
export type Remark = {
/**
 * `urgent`, `due` or `known`.
 */
weight: string,
/**
 * Lower case start.
 */
say: string, };

/**
 * Something that a person can do with an entry, by a click.
 */
export type Deed = { "do": "sign-in",
/**
 * `sso.okta`.
 */
entry: string, } | { "do": "sign-out",
/**
 * `sso.okta`.
 */
entry: string, } | { "do": "add-token",
/**
 * `token.aspect`.
 */
entry: string, } | { "do": "rotate-token",
/**
 * `token.aspect`.
 */
entry: string, } | { "do": "remove-token",
/**
 * `token.aspect`.
 */
entry: string, } | { "do": "say-end",
/**
 * `token.aspect`.
 */
entry: string, } | { "do": "snooze",
/**
 * `token.aspect`.
 */
entry: string, } | { "do": "open-console",
/**
 * `aws.dev`.
 */
entry: string, } | { "do": "confirm-places",
/**
 * The entry that holds something.
 */
entry: string, } | { "do": "unlock" };

/**
 * Something that will happen to an entry.
 */
export type Planned = {
/**
 * When (RFC 3339).
 */
at: string,
/**
 * What.
 */
what: PlannedDeed, };

/**
 * What will happen.
 */
export type PlannedDeed = "remind" | "renew" | "end";

/**
 * A question of a policy with `confirm`.
 */
export type Question = {
/**
 * Good once, and only through this window.
 */
id: string,
/**
 * `aws.dev`.
 */
entry: string,
/**
 * The program, by its path; empty where the system does not tell.
 */
program: string,
/**
 * Its process.
 */
pid: number | null,
/**
 * The programs behind it, the nearest first.
 */
behind: Array<string>,
/**
 * What it calls itself; not proved.
 */
claims: string | null,
/**
 * Sentences that a person should read before the answer: the program was replaced, its path proves nothing.
 */
warnings: Array<string>,
/**
 * `get`, `credential-process`, …
 */
act: string,
/**
 * Host and port, where there are any.
 */
target: string | null,
/**
 * How often it has asked.
 */
count: number,
/**
 * When it closes unanswered (RFC 3339).
 */
closes: string,
/**
 * What can be answered besides `never`.
 */
offers: Array<Approval>, };

/**
 * What the person says to a question.
 */
export type Approval = "once" | "today" | "always" | "never";

/**
 * A sign-in.
 */
export type SignIn = {
/**
 * `sso.okta`.
 */
entry: string,
/**
 * How far it is.
 */
step: SignInStep, };

/**
 * How far a sign-in is.
 */
export type SignInStep = { "is": "begun" } | { "is": "browser",
/**
 * Whether a browser could be opened.
 */
opened: boolean, } | { "is": "code",
/**
 * What is typed.
 */
code: string,
/**
 * Where, to be read by a person.
 */
address: string,
/**
 * When the code is worthless (RFC 3339).
 */
until: string, } | { "is": "done",
/**
 * One sentence.
 */
say: string, } | { "is": "failed",
/**
 * Why.
 */
trouble: Trouble, };

/**
 * What belongs to the tray program.
 */
export type Own = {
/**
 * Its version.
 */
version: string,
/**
 * Whether it starts when the person signs in to the computer; absent where the system does not tell.
 */
starts_at_sign_in: boolean | null,
/**
 * Whether the panel shows our icon; absent until that is known.
 */
has_tray: boolean | null,
/**
 * Whether the page should say that it does not: it does so once.
 */
says_no_tray: boolean,
/**
 * No reminders about any token until then (RFC 3339).
 */
paused_until: string | null, };

/**
 * What one entry may do.
 */
export type Permissions = {
/**
 * `token.aspect`.
 */
name: string,
/**
 * `token`.
 */
kind: string,
/**
 * Clusters, each by everybody who says something about it.
 */
clusters: Array<ClusterRow>,
/**
 * Everything else.
 */
facts: Array<FactRow>,
/**
 * Who could not be asked, and why.
 */
troubles: Array<Trouble>, };

/**
 * What somebody says about a cluster. A right is `yes`, `no`, `without-effect` or `unknown`.
 */
export type ClusterRow = {
/**
 * The cluster.
 */
cluster: string,
/**
 * Read the cache.
 */
read: string,
/**
 * Write to the action cache.
 */
write: string,
/**
 * Run actions remotely.
 */
execute: string,
/**
 * Who says so, in words.
 */
by: string,
/**
 * When (RFC 3339).
 */
when: string | null,
/**
 * A sentence where the rights alone would mislead.
 */
note: string | null, };

/**
 * What somebody says about an entry.
 */
export type FactRow = {
/**
 * `owner`, `scopes`, `groups`, `account`, `role`, …
 */
name: string,
/**
 * One or several.
 */
values: Array<string>,
/**
 * Who says so, in words.
 */
by: string,
/**
 * When (RFC 3339).
 */
when: string | null, };

/**
 * A line of the ledger.
 */
export type ActivityLine = {
/**
 * When (RFC 3339, with milliseconds).
 */
at: string,
/**
 * What was asked: `get`, `credential-process`, `approve`, …
 */
act: string,
/**
 * `given`, `empty`, `refused`, `done`, `gone`, `unknown`.
 */
outcome: string,
/**
 * The entry.
 */
entry: string | null,
/**
 * Host and port.
 */
target: string | null,
/**
 * Why it was refused: `not_allowed`.
 */
code: string | null,
/**
 * The program, by its path.
 */
program: string | null,
/**
 * Its process.
 */
pid: number | null,
/**
 * The programs behind it, the nearest first.
 */
behind: Array<string>,
/**
 * Whether the path is the kernel's word: `false` for a program that was replaced or whose path proves nothing.
 */
verified: boolean,
/**
 * What it calls itself; not proved.
 */
claims: string | null,
/**
 * A few words more.
 */
note: string | null, };

/**
 * An answer of the person that is in force.
 */
export type Grant = {
/**
 * Names it in [`PageAsk::Revoke`].
 */
id: string,
/**
 * The entry.
 */
entry: string,
/**
 * The program, by its path.
 */
program: string,
/**
 * `false` for a `never`.
 */
allowed: boolean,
/**
 * Whether the next use takes it up.
 */
once: boolean,
/**
 * When it was given (RFC 3339).
 */
given: string,
/**
 * Its end (RFC 3339).
 */
until: string | null,
/**
 * Whether the program at that path is another one by now.
 */
stale: boolean, };

/**
 * A tool of the person that can ask Keyfob.
 */
export type Tool = {
/**
 * `bazel`, `aws`.
 */
name: string,
/**
 * `set-up`, `attention` (something is to be done) or `unused` (the configuration has nothing for it).
 */
state: string,
/**
 * One sentence.
 */
say: string,
/**
 * Whether a click on "Set up" helps ([`PageAsk::SetUp`]).
 */
can_set_up: boolean, };

/**
 * What became of a token.
 */
export type TokenOutcome = {
/**
 * One sentence.
 */
say: string,
/**
 * Whose it is.
 */
owner: string | null,
/**
 * Its end (RFC 3339).
 */
until: string | null,
/**
 * Whether the end is assumed.
 */
until_assumed: boolean,
/**
 * Permissions that the token before it had and this one has not.
 */
lost: Array<string>,
/**
 * Permissions that this one has and the token before it had not.
 */
gained: Array<string>,
/**
 * What else a person should know now.
 */
notes: Array<Remark>,
/**
 * What the token before it could do; absent where there was none.
 */
before: Permissions | null,
/**
 * What it can do.
 */
after: Permissions | null, };

/**
 * New places to which an edit of the configuration would send what an entry holds.
 */
export type Change = {
/**
 * The entry.
 */
entry: string,
/**
 * Each place in words.
 */
places: Array<string>, };

/**
 * What the page asks. Each gets one [`PageReply`] or a [`Trouble`].
 */
export type PageAsk = { "ask": "begin" } | { "ask": "permissions",
/**
 * Asks clusters and services again.
 */
again: boolean, } | { "ask": "activity" } | { "ask": "grants" } | { "ask": "revoke",
/**
 * [`Grant::id`].
 */
id: string, } | { "ask": "sign-in",
/**
 * `sso.okta`.
 */
entry: string,
/**
 * By a code on any device, in place of the browser here.
 */
device: boolean, } | { "ask": "open-sign-in-page" } | { "ask": "put-sign-in-away" } | { "ask": "sign-out",
/**
 * `sso.okta`.
 */
entry: string, } | { "ask": "open-console",
/**
 * `aws.dev`.
 */
entry: string, } | { "ask": "open-portal",
/**
 * `token.aspect`.
 */
entry: string, } | { "ask": "keep-token",
/**
 * `token.aspect`.
 */
entry: string,
/**
 * The value.
 */
value: string,
/**
 * When it ends, a date (`2027-11-21`), where the person says it.
 */
ends: string | null,
/**
 * Whether it replaces another one.
 */
replaces: boolean, } | { "ask": "rotate-token",
/**
 * `token.aspect`.
 */
entry: string, } | { "ask": "remove-token",
/**
 * `token.aspect`.
 */
entry: string,
/**
 * Leaves it alive at its service.
 */
keep_at_service: boolean, } | { "ask": "say-end",
/**
 * `token.aspect`.
 */
entry: string,
/**
 * A date.
 */
ends: string, } | { "ask": "snooze",
/**
 * `token.aspect`.
 */
entry: string,
/**
 * Whole days.
 */
days: number, } | { "ask": "pause-reminders",
/**
 * Whole days.
 */
days: number, } | { "ask": "answer",
/**
 * [`Question::id`].
 */
id: string,
/**
 * What the person says.
 */
approval: Approval, } | { "ask": "lock" } | { "ask": "unlock",
/**
 * The passphrase of the file keychain, where it is needed.
 */
passphrase: string | null, } | { "ask": "changes" } | { "ask": "accept-changes",
/**
 * To the letter what was shown.
 */
changes: Array<Change>, } | { "ask": "start-agent" } | { "ask": "tools" } | { "ask": "set-up",
/**
 * [`Tool::name`].
 */
tool: string, } | { "ask": "start-at-sign-in",
/**
 * Whether.
 */
on: boolean, } | { "ask": "set-reminders",
/**
 * `30d`, …; empty for none.
 */
steps: Array<string>, } | { "ask": "open-configuration" } | { "ask": "put-no-tray-away" };

/**
 * What the page gets.
 */
export type PageReply = { "is": "begin", "it": {
/**
 * What to draw.
 */
page: Page,
/**
 * Where to begin.
 */
view: View,
/**
 * What to begin there.
 */
deed: Deed | null, } } | { "is": "permissions", "it": Array<Permissions> } | { "is": "activity", "it": Array<ActivityLine> } | { "is": "grants", "it": Array<Grant> } | { "is": "token", "it": TokenOutcome } | { "is": "changes", "it": Array<Change> } | { "is": "tools", "it": Array<Tool> } | { "is": "done", "it": {
/**
 * One sentence; may be empty where the page shows it by itself.
 */
say: string, } };

/**
 * What is sent to the page without being asked for, under the name of the event `news`.
 */
export type News = { "is": "page", "it": Page } | { "is": "activity", "it": ActivityLine } | { "is": "go", "it": {
/**
 * The view to go to.
 */
view: View,
/**
 * What to begin there.
 */
deed: Deed | null, } };
