/** A straight line through points. */
export interface Slope {
  /** Rise for every step of x. */
  readonly perUnit: number;
  /** Half the width of the interval that holds the true rise in 95 of 100 cases. */
  readonly margin: number;
  readonly points: number;
}

/** Two-sided 95 % points of Student's t, for 1, 2, … degrees of freedom; beyond them that of the normal distribution. */
const T95 = [
  12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL = 1.96;

/** Least squares. With fewer than three points, or all at one place, nothing is known: the margin is Infinity. */
export function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): Slope {
  const count = points.length;
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / count;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / count;
  let sxx = 0;
  let sxy = 0;
  for (const { x, y } of points) {
    sxx += (x - meanX) ** 2;
    sxy += (x - meanX) * (y - meanY);
  }
  if (count < 3 || sxx === 0) return { perUnit: 0, margin: Number.POSITIVE_INFINITY, points: count };
  const perUnit = sxy / sxx;
  let errors = 0;
  for (const { x, y } of points) errors += (y - meanY - perUnit * (x - meanX)) ** 2;
  const deviation = Math.sqrt(errors / (count - 2) / sxx);
  return { perUnit, margin: (T95[count - 3] ?? NORMAL) * deviation, points: count };
}
