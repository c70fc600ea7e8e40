"""Reading: how a batch is read whose tokens are learnt from, without what no loss depends on."""
