import wit_world  # made by componentize-py


class WitWorld(wit_world.WitWorld):
    def factorize(self, n: int) -> list[int]:
        factors = []
        divisor = 2
        while n > 1:
            if divisor > n // divisor:
                divisor = n  # what is left is prime
            while n % divisor == 0:
                factors.append(divisor)
                n //= divisor
            divisor += 1 if divisor == 2 else 2
        return factors
