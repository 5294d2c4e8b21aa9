// What a reader sees of the page in the frame, told as JSON. Not part of the page.
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const view = page.defaultView;
  const style = (element) => view.getComputedStyle(element);
  const name = (element) => element.textContent.trim().slice(0, 60);
  // Side by side, two pixels are too little to tell labels apart; half a pixel is rounding.
  const overlap = (a, b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > -2 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;

  const overlaps = [], outside = [], labels = [];
  const charts = [...page.querySelectorAll("svg.chart")];
  for (const chart of charts) {
    const frame = chart.getBoundingClientRect();
    const boxes = [...chart.querySelectorAll("text")].map((it) => [name(it), it.getBoundingClientRect()]);
    labels.push(boxes.length);
    boxes.forEach(([text, box], index) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1)
        outside.push(`${text} in ${name(chart)}`);
      for (const [other, that] of boxes.slice(index + 1))
        if (overlap(box, that)) overlaps.push(`${text} | ${other}`);
    });
  }

  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).map((it) => it / 255)
      .map((it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    for (let it = element; it; it = it.parentElement) {
      const colour = style(it).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = [...page.body.querySelectorAll("*")].filter(
    (it) => it.checkVisibility() && !it.closest("title, desc") &&
      [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim()),
  );
  const pale = texts.flatMap((it) => {
    const ink = it instanceof view.SVGElement ? style(it).fill : style(it).color;
    const ratio = contrast(ink, behind(it));
    return ratio >= 4.5 ? [] : [`${ratio.toFixed(2)}: ${name(it)}`];
  });
  const marks = [...page.querySelectorAll("svg.chart .arm")].flatMap((it) => {
    const ratio = contrast(style(it).fill, behind(it));
    return ratio >= 3 ? [] : [`${ratio.toFixed(2)}: ${it.getAttribute("class")}`];
  });

  document.querySelector("#measured").textContent = JSON.stringify({
    width: view.innerWidth,
    scroll_width: page.documentElement.scrollWidth,
    background: channels(style(page.body).backgroundColor),
    texts: texts.length,
    text: page.body.innerText,
    labels, overlaps, outside, pale,
    faint_marks: [...new Set(marks)],
  });
};
