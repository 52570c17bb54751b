/** One figure of one process: its name with its labels, as it is written. */
type Series = Map<string, number>;

interface Family {
  /** The `# HELP` and `# TYPE` lines. */
  readonly head: string[];
  readonly type: string;
  readonly series: Series;
}

/** Of these every process sees all there is, or what one of them says is said by all: the largest counts. */
const SEEN_BY_ALL: ReadonlySet<string> = new Set([
  'patchcord_call_reports_waiting',
  'patchcord_agents_file_reloads_total',
  'patchcord_breaker_state',
]);
/** Of the process itself, which cannot be added up: each has its own. */
const OF_A_PROCESS = /^(?:process|nodejs)_/;

/**
 * Adds up what several processes count, as Prometheus text. What a process has counted that is gone stays, as far as it
 * was asked in time: a counter that falls would look like a restart.
 */
export class Figures {
  /** Of processes that are gone. */
  readonly #past = new Map<string, Family>();
  readonly #last = new Map<object, { readonly slot: number; readonly families: Map<string, Family> }>();

  /** What a process says now; `source` is the process, `slot` its number. */
  take(source: object, slot: number, text: string): void {
    this.#last.set(source, { slot, families: parse(text) });
  }

  /** A process is gone: what it counted is kept, and what it had is not. */
  drop(source: object): void {
    const families = this.#last.get(source)?.families;
    this.#last.delete(source);
    for (const [name, family] of families ?? []) {
      if (family.type === 'gauge' || OF_A_PROCESS.test(name)) continue;
      addTo(this.#past, name, family, SEEN_BY_ALL.has(name));
    }
  }

  /** All figures; `own`: those of the process that asks. */
  text(own: string): string {
    const all = new Map<string, Family>();
    for (const [name, family] of this.#past) addTo(all, name, family, false);
    for (const { slot, families } of this.#last.values()) {
      for (const [name, family] of families) {
        const told = OF_A_PROCESS.test(name) ? labelled(family, slot) : family;
        addTo(all, name, told, SEEN_BY_ALL.has(name));
      }
    }
    const lines: string[] = [];
    for (const { head, series } of all.values()) {
      lines.push(...head);
      for (const [key, value] of series) lines.push(`${key} ${written(value)}`);
      lines.push('');
    }
    return `${lines.join('\n')}${own}`;
  }
}

function addTo(
  all: Map<string, Family>,
  name: string,
  { head, type, series }: Family,
  isLargest: boolean,
): void {
  const known = all.get(name) ?? { head, type, series: new Map() };
  all.set(name, known);
  for (const [key, value] of series) {
    const before = known.series.get(key);
    if (before === undefined) known.series.set(key, value);
    else known.series.set(key, isLargest ? Math.max(before, value) : before + value);
  }
}

function labelled(family: Family, slot: number): Family {
  const series: Series = new Map();
  for (const [key, value] of family.series) {
    const [name = '', labels = ''] = split(key);
    series.set(`${name}{worker="${slot}"${labels === '' ? '' : `,${labels}`}}`, value);
  }
  return { ...family, series };
}

/** The name, and what is between its braces. */
function split(key: string): readonly [string, string] {
  const at = key.indexOf('{');
  return at === -1 ? [key, ''] : [key.slice(0, at), key.slice(at + 1, -1)];
}

/** The text of one process. Lines that are none are left out. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let family: Family = { head: [], type: '', series: new Map() };
  for (const line of text.split('\n')) {
    if (line.startsWith('# HELP ')) {
      family = { head: [line], type: '', series: new Map() };
    } else if (line.startsWith('# TYPE ')) {
      const [, , name = '', type = ''] = line.split(' ');
      family = { ...family, head: [...family.head, line], type };
      families.set(name, family);
    } else {
      read(line, family.series);
    }
  }
  return families;
}

/** A label may hold blanks and braces: the value is what follows the last blank. */
function read(line: string, series: Series): void {
  const at = line.lastIndexOf(' ');
  if (at <= 0 || line.startsWith('#')) return;
  const value = line.slice(at + 1);
  series.set(line.slice(0, at), value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value));
}

function written(value: number): string {
  if (Number.isNaN(value)) return 'Nan';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
