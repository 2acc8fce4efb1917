"""The ways to drive an agent, behind one small interface (`base.Driver`)."""
