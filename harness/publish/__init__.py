"""Published boards: records, and the files that are nothing but a rendering of them.

    leaderboards/README.md                  the index
    leaderboards/leaderboard.schema.json    of the .json files
    leaderboards/<board>.md .svg .json .csv
    leaderboards/records/<board>/           *.json records, conditions.json, board.toml
    .../answers/*.jsonl.gz                  the answers of each record
    .../published.json                      the order of publishing, digests of answers, signers
    .../submissions/                        what came with results of others

`write.publish` takes in what `sources.gather` finds, by `join.join`, and writes them. `check.check`
computes the pages again and names the file that differs; `recheck.recheck` judges answers anew.
"""
