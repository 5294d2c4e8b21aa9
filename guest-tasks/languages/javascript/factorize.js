export function factorize(n) {
  const factors = [];
  let divisor = 2n;
  while (n > 1n) {
    if (divisor > n / divisor) divisor = n; // what is left is prime
    while (n % divisor === 0n) {
      factors.push(divisor);
      n /= divisor;
    }
    divisor += divisor === 2n ? 1n : 2n;
  }
  return factors;
}
