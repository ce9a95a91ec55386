// Many points on a canvas: drawn, moved, enlarged and found again.

const REACH = 10; // px, how near the pointer must be to a point.
const MOST = 60; // Largest magnification.
const MARGIN = 20; // px

/** Points in 0..1 and the part of them that a canvas shows. */
export class Plane {
  constructor(x, y) {
    this.x = Float32Array.from(x);
    this.y = Float32Array.from(y);
    this.width = this.height = 1;
    this.reset();
  }

  reset() {
    this.scale = 1;
    this.left = this.top = 0;
  }

  resize(width, height) {
    this.width = width;
    this.height = height;
  }

  get #spread() {
    return [(this.width - 2 * MARGIN) * this.scale, (this.height - 2 * MARGIN) * this.scale];
  }

  /** Place of a point on the canvas, px. */
  place(index) {
    const [across, down] = this.#spread;
    return [MARGIN + (this.x[index] - this.left) * across, MARGIN + (this.y[index] - this.top) * down];
  }

  move(dx, dy) {
    const [across, down] = this.#spread;
    this.left -= dx / across;
    this.top -= dy / down;
  }

  /** Magnifies around a place on the canvas, which stays where it is. */
  zoom(factor, x, y) {
    const [across, down] = this.#spread;
    const [u, v] = [this.left + (x - MARGIN) / across, this.top + (y - MARGIN) / down];
    this.scale = Math.min(MOST, Math.max(1, this.scale * factor));
    if (this.scale === 1) return this.reset();
    const [wider, higher] = this.#spread;
    this.left = u - (x - MARGIN) / wider;
    this.top = v - (y - MARGIN) / higher;
    return undefined;
  }

  /** Draws points as squares; `groups` is a list of [colour, indices]. */
  draw(context, groups, side) {
    const [across, down] = this.#spread;
    const half = side / 2;
    const { x, y, left, top, width, height } = this;
    for (const [colour, indices] of groups) {
      context.fillStyle = colour;
      for (const i of indices) {
        const px = MARGIN + (x[i] - left) * across;
        const py = MARGIN + (y[i] - top) * down;
        if (px > -side && py > -side && px < width + side && py < height + side) {
          context.fillRect(px - half, py - half, side, side);
        }
      }
    }
  }

  /** The shown point nearest to a place, or -1 where none is near. */
  nearest(px, py, shown) {
    let best = -1;
    let least = REACH * REACH;
    for (let i = 0; i < this.x.length; i++) {
      if (!shown(i)) continue;
      const [x, y] = this.place(i);
      const distance = (x - px) ** 2 + (y - py) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  /** Indices of the shown points inside a polygon of places on the canvas. */
  inside(polygon, shown) {
    const xs = polygon.map((point) => point[0]);
    const ys = polygon.map((point) => point[1]);
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
    const found = [];
    for (let i = 0; i < this.x.length; i++) {
      if (!shown(i)) continue;
      const [x, y] = this.place(i);
      if (x < left || x > right || y < top || y > bottom) continue;
      let odd = false;
      for (let j = 0, k = polygon.length - 1; j < polygon.length; k = j++) {
        const above = ys[j] > y !== ys[k] > y;
        if (above && x < ((xs[k] - xs[j]) * (y - ys[j])) / (ys[k] - ys[j]) + xs[j]) odd = !odd;
      }
      if (odd) found.push(i);
    }
    return found;
  }
}
