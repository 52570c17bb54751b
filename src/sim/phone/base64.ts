/** Length of what base64 text holds, in bytes; -1 when it cannot be base64. */
export function base64Bytes(text: string): number {
  let end = text.length;
  if (text.endsWith('==')) end -= 2;
  else if (text.endsWith('=')) end -= 1;
  return end % 4 === 1 ? -1 : Math.floor((end * 3) / 4);
}
