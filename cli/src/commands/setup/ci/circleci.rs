//! The workflow of CircleCI.

use super::{Job, System};

pub(super) fn workflow(job: &Job) -> String {
    let (claims, run) = (job.claims(System::CircleCi), job.run(System::CircleCi));
    format!(
        "\
# keyfob and keyfobd stand in one folder of PATH in the image.
version: 2.1
jobs:
  deploy:
    docker:
      - image: cimg/base:current
    steps:
      - checkout
      # What the role's trust policy must name; take it out once the role is there.
      - run:
          name: Show whom AWS must trust
          command: {claims}
      - run:
          name: Deploy
          command: {run}
workflows:
  deploy:
    jobs:
      # A job gets an ID token where it has a context.
      - deploy:
          context: keyfob
          filters:
            branches:
              only: main
"
    )
}
