"""URLs for comparisons: those of archives, and some made from the lists by a seeded generator."""

import random
from collections.abc import Sequence

PATHS = (
    "",
    "/",
    "/news/2023/10/the-long-way-home",
    "/index.html",
    "/a/b?id=7&page=2",
    "/wiki/Main_Page#top",
    "/?q=garden",
)
TOPS = ("com", "org", "co.uk", "de", "com.br", "blogspot.com", "xyz", "github.io")
PLAIN = ("river", "garden", "news", "shop", "music", "weather", "blog", "chess", "photo", "market", "clean", "menu")


def made(
    n: int, seed: int, seen: Sequence[str], domains: Sequence[str], pages: Sequence[str], words: Sequence[str]
) -> list[str]:
    """`n` URLs: two fifths as `seen`, the others around `domains`, `pages` and `words` of lists."""
    random_ = random.Random(seed)
    take = random_.choice

    def host() -> str:
        return f"{take(('', 'www.', 'm.'))}{take(PLAIN)}{take(PLAIN)}{random_.randrange(1000)}.{take(TOPS)}"

    def path(word: str) -> str:
        joint = take("-_/+.")
        return f"/{take(PLAIN)}{joint}{word.replace(' ', joint)}{take((joint, ''))}{take(PLAIN)}"

    kinds = (
        lambda: f"http{take(('', 's'))}://{take(('', '', 'www.', 'a.b.'))}{take(domains)}{take(PATHS)}",
        lambda: f"https://{take(domains)[1:]}{take(PATHS)}",
        lambda: f"http://{take(('', 'www.'))}{take(pages)}{take(('', '/', '#x', 'x'))}",
        lambda: f"https://{host()}{path(take(words))}",
        lambda: f"https://{host()}{path(take(words))}/{take(words).replace(' ', take(' -'))}-{take(words)}",
        lambda: f"https://{take(words).replace(' ', '')}{take(('', take(PLAIN)))}.{take(TOPS)}{take(PATHS)}",
        lambda: f"https://{host()}{path(take(words).upper())}",
        lambda: f"https://{host()}/{take(words).replace(' ', '%20')}%20{take(words).replace(' ', '%2D')}%C3%A9t%C3%A9",
        lambda: f"https://{take(('bücher', 'xn--bcher-kva', 'пример'))}.{take(domains)}:{take(('80', '8080', '443'))}/",
        lambda: f"http://user:{take(words).replace(' ', '')}@{host()}:8080{take(PATHS)}",
        lambda: f"http://{random_.randrange(1, 224)}.{random_.randrange(256)}.7.9{take(PATHS)}",
        lambda: f"https://{host().upper()}{take(PATHS)}",
        lambda: f"https://{host()}/{take(('übersicht', 'страница', '新闻', 'naïve'))}{take(('', '-'))}{take(words)}",
    )
    return [take(seen) if random_.random() < 0.4 else take(kinds)() for _ in range(n)]
