import {
  audioTable,
  type ListedProvider,
  markdownTable,
  turnTable,
} from '../../src/commands/provider-tables.ts';
import { PROVIDER_SETTINGS, type ProviderName } from '../../src/config/provider-settings.ts';
import { loadConfig } from '../../src/config.ts';
import type { ProviderFacts } from '../../src/provider.ts';
import { builtInProviders } from '../../src/server/providers.ts';

interface Described extends ListedProvider {
  readonly name: ProviderName;
}

/** `docs/providers.md` with everything in it that is data made anew. Throws for a place that nothing is known of. */
export async function filledPage(page: string): Promise<string> {
  const described = await Promise.all(
    builtInProviders(loadConfig({})).map(async (entry): Promise<Described> => {
      return { name: entry.name, facts: await entry.facts() };
    }),
  );
  return page.replace(
    /(<!-- made from the code: ([\w-]+) -->\n).*?(<!-- until here -->)/gs,
    (_, begin: string, what: string, end: string) => `${begin}${pieceOf(what, described)}${end}`,
  );
}

function pieceOf(what: string, described: readonly Described[]): string {
  if (what === 'abilities') return `\n${tables(described)}\n`;
  const found = described.find(({ name }) => name === what);
  if (found === undefined) throw new Error(`docs/providers.md: nothing is known of ${what}`);
  return `\n${settingsOf(found.name)}${factLines(found.facts).join('\n')}\n\n`;
}

function tables(described: readonly Described[]): string {
  return `${markdownTable(audioTable(described))}\n${markdownTable(turnTable(described))}`;
}

function settingsOf(name: ProviderName): string {
  const rows = PROVIDER_SETTINGS[name].map((row) => [`\`${row.name}\``, row.fallback, row.text]);
  return rows.length === 0 ? '' : `${markdownTable([['variable', 'default', 'meaning'], ...rows])}\n`;
}

function factLines({ models, voices, languages, onBargeIn, limits }: ProviderFacts): readonly string[] {
  return [
    ...(models.length === 0 ? [] : [`- Models known when this was written: ${codes(models)}.`]),
    ...(voices.length === 0 ? [] : [`- Voices: ${codes(voices)}.`]),
    `- Languages: ${languages}`,
    `- When the caller cuts in: ${onBargeIn}`,
    ...limits.map((limit) => `- ${limit}`),
  ];
}

function codes(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(', ');
}
