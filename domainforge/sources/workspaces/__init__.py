"""What teams export from the tools they write in: wikis, notes, chats and repositories."""
