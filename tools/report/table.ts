/** Tables in plain text: words to the left, numbers to the right, no borders. */

/** Paints text; the identity without colours. */
export type Paint = (text: string) => string;

export interface Cell {
  readonly text: string;
  readonly paint: Paint;
}

export interface ColumnHead {
  readonly title: string;
  readonly align: 'left' | 'right';
}

export const REPORT_WIDTH = 100;
const GAP = '  ';

export function left(title: string): ColumnHead {
  return { title, align: 'left' };
}

export function right(title: string): ColumnHead {
  return { title, align: 'right' };
}

/** Lines of a table; titles are painted with `headPaint`. Long words in left columns are cut. */
export function tableLines(
  heads: readonly ColumnHead[],
  rows: readonly (readonly (string | Cell)[])[],
  headPaint: Paint,
): string[] {
  const widths = heads.map((head, c) =>
    Math.max(head.title.length, ...rows.map((row) => textOf(row[c]).length)),
  );
  shrink(widths, heads);
  const lines = [
    heads
      .map((head, c) => headPaint(pad(head.title, widths[c], head.align)))
      .join(GAP)
      .trimEnd(),
  ];
  for (const row of rows) {
    const cells = heads.map((head, c) => {
      const cell = row[c];
      const padded = pad(textOf(cell), widths[c], head.align);
      return typeof cell === 'object' ? cell.paint(padded) : padded;
    });
    lines.push(cells.join(GAP).trimEnd());
  }
  return lines;
}

function textOf(cell: string | Cell | undefined): string {
  return cell === undefined ? '' : typeof cell === 'string' ? cell : cell.text;
}

/** Takes from the widest left column what is too much for the page. */
function shrink(widths: number[], heads: readonly ColumnHead[]): void {
  const total = widths.reduce((sum, width) => sum + width, (widths.length - 1) * GAP.length);
  let excess = total - REPORT_WIDTH;
  while (excess > 0) {
    let widest = -1;
    for (const [c, head] of heads.entries()) {
      if (head.align === 'left' && (widest < 0 || widths[c] > widths[widest])) widest = c;
    }
    if (widest < 0 || widths[widest] <= 8) return;
    widths[widest]--;
    excess--;
  }
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const shown = text.length > width ? `${text.slice(0, width - 1)}…` : text;
  return align === 'left' ? shown.padEnd(width) : shown.padStart(width);
}
