//! The workflow of CircleCI.

use super::{Job, System};

pub(super) fn workflow(job: &Job) -> String {
    let (claims, run) = (job.claims(System::CircleCi), job.run(System::CircleCi));
    let config = job.comment();
    format!(
        "\
# For .circleci/config.yml, of which a repository has one: put the job and the workflow in there by hand.
# What is marked as a placeholder is yours to replace. integrations/circleci-orb of keyfob's sources has the same as an orb.
#
{config}version: 2.1
jobs:
  deploy:
    docker:
      # A placeholder: an image that has keyfob and keyfobd in one folder of PATH. Nothing is downloaded.
      - image: example/image-with-keyfob:1.0
    steps:
      - checkout
      # What the role's trust policy must name; take it out once the role is there.
      - run:
          name: Show whom AWS must trust
          command: {claims}
      # A placeholder: your own command in the place of `make deploy`.
      - run:
          name: Deploy
          command: {run}
workflows:
  deploy:
    jobs:
      - deploy:
          # A placeholder: a context of your organisation. A job gets an ID token where it has one.
          context: keyfob
          filters:
            branches:
              only: main
"
    )
}
