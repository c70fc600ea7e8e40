"""Published boards: records, and the files that are nothing but a rendering of them.

    leaderboards/README.md                  the index
    leaderboards/leaderboard.schema.json    of the .json files
    leaderboards/<board>.md .json .csv
    leaderboards/records/<board>/           *.json records, conditions.json, board.toml

`write.publish` writes them; `check.check` computes them again and names the file that differs.
"""
