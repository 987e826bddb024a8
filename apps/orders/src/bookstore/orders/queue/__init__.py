"""What accepted orders are owed: PostgreSQL's ledger says what is to do, a Redis stream rings the bell.

    ledger -> relay -> doorbell -> lane -> supplier or books -> ledger

`ledger` has the rows and their rules in SQL, `relay` rings for those that are due, a `lane` takes them and
does the work, `worker` keeps all of it running. A row is finished when its effect has committed, and not
before: whatever dies in between, Redis with all its data included, the row is still there and becomes due
again.
"""
