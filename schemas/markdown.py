"""Text in Prefect's Markdown pages."""


def plain(text: str) -> str:
    """Names from the bucket as text, whatever Markdown or HTML they hold."""
    one_line = "".join(c if c.isprintable() else "·" for c in text)
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]()#+!|~" else c for c in one_line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
