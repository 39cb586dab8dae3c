"""What would make `pulumi up` of a stack fail, asked before it: read only, a line for each check."""
