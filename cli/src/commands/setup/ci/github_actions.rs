//! The workflow of GitHub Actions.

use super::{Job, System};

pub(super) fn workflow(job: &Job) -> String {
    let (claims, run) = (job.claims(System::GithubActions), job.run(System::GithubActions));
    format!(
        "\
# keyfob and keyfobd stand in one folder of PATH on the runner.
name: keyfob
on:
  push:
    branches: [main]
permissions:
  contents: read
  id-token: write
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      # What the role's trust policy must name; take it out once the role is there.
      - name: Show whom AWS must trust
        run: {claims}
      - name: Deploy
        run: {run}
"
    )
}
