import { isRecord } from '../is-record.ts';
import type { Path } from './document.ts';
import { itemsAt, textAt } from './plain-data.ts';

/** The texts of an agent that may hold `{{variables}}`, with their paths within the agent; it may not be checked yet. */
export function textsOf(agent: unknown): readonly (readonly [Path, string])[] {
  const paths: Path[] = [
    ['instructions'],
    ['greeting'],
    ['limits', 'goodbye'],
    ['silence', 'goodbye'],
    ['lastResort', 'say'],
    ['lastResort', 'message'],
    ['lastResort', 'announce'],
    ['budget', 'goodbye'],
    ...items(agent, ['silence', 'prompts']),
    ...items(agent, ['filler', 'say']),
    ...items(agent, ['tools']).flatMap((tool) => [
      [...tool, 'text'],
      ...items(agent, [...tool, 'destinations']).map((one) => [...one, 'announce']),
    ]),
  ];
  return paths.flatMap((path) => {
    const text = textAt(agent, path);
    return text === undefined ? [] : [[path, text] as const];
  });
}

function items(agent: unknown, path: Path): Path[] {
  return itemsAt(agent, path).map((_, i) => [...path, i]);
}

/** Names of the variables that a section declares. */
export function declaredIn(section: unknown): readonly string[] {
  return isRecord(section) && isRecord(section['variables']) ? Object.keys(section['variables']) : [];
}
