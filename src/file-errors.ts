/** Whether an error of the file system, or of the operating system, has this code, such as `EEXIST`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** There is no such file or folder. */
export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT');
}
