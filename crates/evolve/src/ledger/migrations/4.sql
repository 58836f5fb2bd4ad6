-- A record is a conversation, with what else its row in the seeds holds. Records of older ledgers are a prompt and a response.

ALTER TABLE record ADD COLUMN conversation TEXT;
ALTER TABLE record ADD COLUMN fields TEXT;
