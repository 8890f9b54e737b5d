//! The workflow of GitHub Actions.

use super::{Job, System};

pub(super) fn workflow(job: &Job) -> String {
    let (claims, run) = (job.claims(System::GithubActions), job.run(System::GithubActions));
    let config = job.comment();
    format!(
        "\
# What is marked as a placeholder is yours to replace. integrations/github-action of keyfob's sources has the last step as
# a composite action, which takes the folder of keyfob as an input.
#
{config}name: keyfob
on:
  push:
    branches: [main]
permissions:
  contents: read
  id-token: write
jobs:
  deploy:
    # A placeholder: a runner that has keyfob and keyfobd in one folder of PATH, or a step before these that puts them there.
    # Nothing is downloaded, and GitHub's own runners have neither.
    runs-on: [self-hosted, linux]
    steps:
      - uses: actions/checkout@v4
      # What the role's trust policy must name; take it out once the role is there.
      - name: Show whom AWS must trust
        run: {claims}
      # A placeholder: your own command in the place of `make deploy`.
      - name: Deploy
        run: {run}
"
    )
}
