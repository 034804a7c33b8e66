def unlisted(calls):
    return []
