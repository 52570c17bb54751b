import type { Terminal } from './command.ts';

/** What people and models said could hold anything that a terminal obeys, or that makes a line read backwards. */
const OBEYED = /(?![\n\r\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The same terminal for what comes out of calls. */
export function plainTerminal(terminal: Terminal): Terminal {
  return { ...terminal, out: (text) => terminal.out(text.replace(OBEYED, '\uFFFD')) };
}
