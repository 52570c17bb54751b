/** Whatever the last thing has caused is done: every promise that was settled has been told. */
export async function turn(): Promise<void> {
  await new Promise(setImmediate);
}
