// What the command palette offers, and which of it a few letters mean. Pure.

export interface Command {
  readonly group: string;
  readonly title: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly run: () => void;
}

const MOST = 60;

/** How well one word of the query fits a text: the start of it 5, of a word 4, inside 2, its letters in their order 1, else 0. */
export function fits(word: string, text: string): number {
  const at = text.indexOf(word);
  if (at === 0) return 5;
  if (at > 0) return /[a-z0-9]/.test(text[at - 1] ?? "") ? 2 : 4;
  let from = 0;
  for (const letter of word) {
    from = text.indexOf(letter, from) + 1;
    if (from === 0) return 0;
  }
  return word.length >= 3 ? 1 : 0;
}

/** Those in which every word of the query is found: the group with the best of them first, in each group the best first. */
export function found(query: string, commands: readonly Command[]): Command[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean).slice(0, 8);
  const scored = commands.flatMap((command) => {
    const title = command.title.toLowerCase();
    const more = `${command.group} ${command.detail ?? ""}`.toLowerCase();
    let score = 0;
    for (const word of words) {
      const beside = fits(word, more);
      const best = Math.max(2 * fits(word, title), beside > 1 ? beside - 1 : 0); // scattered letters count in a title only
      if (best === 0) return [];
      score += best;
    }
    return [{ command, score: words.length > 0 && title === words.join(" ") ? score + 10 : score }];
  });
  const best = scored.sort((a, b) => b.score - a.score).slice(0, MOST);
  const groups = [...new Set(best.map(({ command }) => command.group))];
  return groups.flatMap((group) => best.filter(({ command }) => command.group === group).map(({ command }) => command));
}
