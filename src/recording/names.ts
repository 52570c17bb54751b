import type { Random } from '../random.ts';

/**
 * Names of folders in the recordings folder. All are made here, of the time and of chance, so that nothing from outside
 * becomes part of a path; what is called otherwise belongs to somebody else.
 */

const NAME = String.raw`(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-z]{12}`;
const RECORDING = new RegExp(`^${NAME}$`);
/** With letters between: taken over from a process that has died. */
const PARTIAL = new RegExp(String.raw`^(${NAME})(?:\.[0-9a-z]{8})?\.partial$`);
const REMOVING = new RegExp(String.raw`^${NAME}\.[0-9a-z]{8}\.removing$`);

const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyz';

/** Random letters that can stand in a name. */
export function letters(random: Random, count: number): string {
  // 252 is a multiple of 36, so that no letter is more frequent than others.
  let text = '';
  while (text.length < count) {
    for (const byte of random.bytes(count)) if (byte < 252 && text.length < count) text += LETTERS[byte % 36];
  }
  return text;
}

/** A new name for a recording that begins at this time (ms since 1970 UTC): names sort by time. */
export function newRecordingName(epochMs: number, random: Random): string {
  const time = new Date(epochMs).toISOString().slice(0, 19).replace(/[-:]/g, '');
  return `${time}Z-${letters(random, 12)}`;
}

/** While it is written. */
export function partialName(name: string): string {
  return `${name}.partial`;
}

export function isRecordingName(name: string): boolean {
  return RECORDING.test(name);
}

/** The name that a recording gets which is still being written; undefined: this is none. */
export function nameOfPartial(name: string): string | undefined {
  return PARTIAL.exec(name)?.[1];
}

/** It is being removed, and half of it may be gone. */
export function isRemovingName(name: string): boolean {
  return REMOVING.test(name);
}

/** When a recording of this name began, in ms since 1970 UTC; NaN when that is no time. */
export function timeOfName(name: string): number {
  const [, year, month, day, hour, minute, second] = RECORDING.exec(name) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
