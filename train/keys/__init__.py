"""The keys of a recipe, table by table, and the contradictions between them."""
